"""The lives of instrumented workers, as heartbeats and connections tell them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from chordwatch.evidence.facts import WorkerLife
from chordwatch.store.protocol import WorkerRecord


def any_silent(workers: Sequence[WorkerRecord], now: float, stale: float) -> bool:
    """Whether a worker stopped beating without a goodbye, so that its connection is worth asking for."""
    return any(not record.gone and now - record.last_beat_at > stale for record in workers)


def last_lives(workers: Iterable[WorkerRecord]) -> Mapping[str, WorkerRecord]:
    """Return the last life of each node: of a restarted worker that one counts."""
    return {
        record.heartbeat.node: record for record in sorted(workers, key=lambda worker: worker.last_beat_at)
    }


def lives_of(
    workers: Sequence[WorkerRecord],
    connections: frozenset[tuple[str, str]] | None,
    now: float,
    stale: float,
) -> dict[str, tuple[WorkerLife, ...]]:
    """Return the lives of each node's workers, the oldest first.

    `connections` are the (node, boot) that are connected to the store, None where nobody knows; `now` is the store's
    clock in Unix seconds; a heartbeat older than `stale` seconds is not a living worker's.
    """
    lives: dict[str, list[WorkerLife]] = {}
    for record in sorted(workers, key=lambda record: record.first_beat_at):
        told = record.heartbeat
        life = WorkerLife(
            node=told.node,
            boot=told.boot,
            since=record.first_beat_at,
            last_beat_at=record.last_beat_at,
            stale=now - record.last_beat_at > stale,
            stale_after=stale,
            gone=record.gone,
            connected=None if connections is None else (told.node, told.boot) in connections,
            queues=told.queues,
            concurrency=told.concurrency,
            pool=told.pool,
            active=told.active,
            reserved=told.reserved,
            clock_ahead=record.clock_ahead,
            left=told.left,
            left_at=None if told.left_at is None else told.left_at - record.clock_ahead,
        )
        lives.setdefault(told.node, []).append(life)
    return {node: tuple(found) for node, found in lives.items()}
