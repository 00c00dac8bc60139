"""Heartbeats as they are kept: JSON, because a node's name may hold anything. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from chordwatch.foreign import as_moment
from chordwatch.recording.records import MAX_IDS, Heartbeat
from chordwatch.store.connections import NODE_LENGTH
from chordwatch.store.protocol import WorkerRecord

#: Seconds after its last heartbeat for which a worker is remembered.
REMEMBERED_SECONDS = 3600
_QUEUE_LENGTH = 200


def bounded(heartbeat: Heartbeat) -> Heartbeat:
    """Return the heartbeat without what would fill the store."""
    return replace(
        heartbeat,
        node=heartbeat.node[:NODE_LENGTH],
        queues=_bounded_names(heartbeat.queues),
        left=_bounded_names(heartbeat.left),
        active=heartbeat.active[:MAX_IDS],
        reserved=heartbeat.reserved[:MAX_IDS],
    )


def _bounded_names(queues: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(queue[:_QUEUE_LENGTH] for queue in queues[:MAX_IDS])


def pack_heartbeat(heartbeat: Heartbeat) -> str:
    """Return what the store keeps of a heartbeat."""
    return json.dumps(asdict(bounded(heartbeat)))


def read_worker(fields: Mapping[bytes, bytes]) -> WorkerRecord | None:
    """Return the worker that a hash tells of, None where it is not as this version writes it."""
    try:
        told: dict[str, Any] = json.loads(fields[b"told"])
        told |= {name: tuple(map(str, told[name])) for name in ("queues", "active", "reserved")}
        told |= {"left": tuple(map(str, told.get("left", ()))), "left_at": as_moment(told.get("left_at"))}
        return WorkerRecord(
            heartbeat=Heartbeat(**told),
            first_beat_at=float(fields[b"first"]),
            last_beat_at=float(fields[b"last"]),
            gone=fields[b"gone"] == b"1",
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
