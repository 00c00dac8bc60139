"""Task results (`celery-task-meta-<id>`) without the results: state, error, times, family.

Used by `backend` only. A result can be huge, so of large ones only head and tail are fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chordwatch.evidence.backend_parts import STATES, error_of
from chordwatch.evidence.budget import Gaps
from chordwatch.evidence.decode import UndecodableError, as_bytes, load
from chordwatch.evidence.facts import TaskMeta
from chordwatch.evidence.result_tuples import launches, leaves
from chordwatch.foreign import as_dict, as_int, as_list, as_text, as_time

#: Up to here a result is fetched whole; beyond, `_HEAD` bytes of its beginning and `_TAIL` of its end.
WHOLE_BYTES = 64 * 1024
_HEAD, _TAIL = 256, 4096
_STATUS = re.compile(rb'^\{"status": "([A-Z_]+)"')
#: The order of keys is that of `Backend._get_result_meta`; the result stands before these.
_FAMILY = re.compile(rb'"date_done": "([^"]+)"(?:, "group_id": "([^"]+)")?(?:, "parent_id": "([^"]+)")?')


@dataclass(frozen=True, slots=True)
class Payload:
    """What was fetched of one result: all of it, or head and tail of a large one."""

    head: bytes
    tail: bytes | None = None


def fetch(client: Any, keys: list[bytes], whole: int = WHOLE_BYTES) -> list[Payload | None]:
    """Return what Redis holds under each key, cut beyond `whole` bytes; None when absent or no string."""
    if not keys:
        return []
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.strlen(key)
    lengths = pipe.execute(raise_on_error=False)
    for key, length in zip(keys, lengths, strict=True):
        if isinstance(length, int) and length > whole:
            pipe.getrange(key, 0, _HEAD - 1).getrange(key, -_TAIL, -1)
        elif isinstance(length, int) and length:
            pipe.get(key)
    answers = iter(pipe.execute(raise_on_error=False))
    return [_payload(length, answers, whole) for length in lengths]


def parse(task_id: str, payload: Payload | None, gaps: Gaps) -> TaskMeta | None:
    """Return what a stored result says about its task; None, counted, when it is not one."""
    if payload is None:
        return None
    if payload.tail is not None:
        return _from_ends(task_id, payload.head, payload.tail, gaps)
    try:
        stored = as_dict(load(payload.head))
    except UndecodableError as exc:
        gaps.skip(str(exc).replace("payload", "result"))
        return None
    status = as_text(stored.get("status"))
    if not status:
        gaps.skip("foreign result")
        return None
    result = as_dict(stored.get("result"))
    kind, text = error_of(result) if status in ("FAILURE", "RETRY", "REVOKED") else (None, None)
    children = as_list(stored.get("children"))
    # A STARTED result of track_started says who runs it.
    runner = as_text(result.get("hostname")) if status == "STARTED" else None
    return TaskMeta(
        task_id=task_id,
        state=STATES.get(status, "started"),
        error_type=kind,
        error=text,
        finished_at=as_time(stored.get("date_done")),
        group_id=as_text(stored.get("group_id")),
        parent_id=as_text(stored.get("parent_id")),
        name=as_text(stored.get("name")),
        worker=as_text(stored.get("worker")) or runner,
        pid=as_int(result.get("pid")) if runner else None,
        attempt=as_int(stored.get("retries")),
        queue=as_text(stored.get("queue")),
        children=tuple(leaves(children)),
        launches=tuple(launches(children)),
    )


def result_of(payload: Payload | None, gaps: Gaps) -> object:
    """Return the stored result value; None when absent, too large or unreadable."""
    if payload is None or payload.tail is not None:
        return None
    try:
        return as_dict(load(payload.head)).get("result")
    except UndecodableError as exc:
        gaps.skip(str(exc).replace("payload", "result"))
        return None


def _payload(length: object, answers: Iterator[Any], whole: int) -> Payload | None:
    if not isinstance(length, int) or not length:
        return None
    head = next(answers)
    tail = next(answers) if length > whole else None
    if not isinstance(head, bytes | str):  # gone or replaced since
        return None
    return Payload(as_bytes(head), as_bytes(tail) if isinstance(tail, bytes | str) else None)


def _from_ends(task_id: str, head: bytes, tail: bytes, gaps: Gaps) -> TaskMeta | None:
    """Read state, time and family of a large JSON result from its ends."""
    status = _STATUS.match(head)
    if not status:
        gaps.skip("oversized result")
        return None
    family = None
    for family in _FAMILY.finditer(tail):  # noqa: B007  # the last one counts: the result may hold such text itself
        pass
    finished, group_id, parent_id = (
        part.decode("utf-8", "replace") if part else None
        for part in (family.groups() if family else [None] * 3)
    )
    return TaskMeta(
        task_id=task_id,
        state=STATES.get(status[1].decode(), "started"),
        finished_at=as_time(finished),
        group_id=group_id,
        parent_id=parent_id,
    )
