"""Facts as recorded on Celery 5.7: a header h0, h1, … of the chord `group`, its callback `body`, worker `w1@zoo`."""

from __future__ import annotations

from typing import Any

from chordwatch.evidence.facts import (
    ChordEvidence,
    ChordKeys,
    Consumers,
    Message,
    Part,
    Place,
    TaskMeta,
    Worker,
    WorkerPlace,
    WorkerTask,
)
from chordwatch.model import Callback, Chord, HeaderTask, MissingPart
from chordwatch.recording.signatures import Body

NOW = 1_795_189_449.0
BODY = Body(task_id="body", name="zoo.collect", task_ids=("body",))
W1 = Worker(hostname="w1@zoo", queues=("celery",))


def part(number: int, **fields: Any) -> Part:
    """Return a counted part that succeeded."""
    return Part(**{"index": number, "task_id": f"h{number}", "state": "succeeded", **fields})


def failed_part(number: int, text: str = "header boom") -> Part:
    """Return a counted part that raised."""
    return part(number, state="failed", error_type="ValueError", error=f"ValueError: {text}")


def meta(task_id: str, **fields: Any) -> TaskMeta:
    """Return the stored result of a task that succeeded."""
    return TaskMeta(**{"task_id": task_id, "state": "succeeded", "finished_at": NOW - 5, **fields})


def message(number: int, **fields: Any) -> Message:
    """Return a header task's message in a queue."""
    usual = {
        "task_id": f"h{number}",
        "name": "zoo.add",
        "queue": "celery",
        "group_id": "group",
        "index": number,
        "body": BODY,
    }
    return Message(**{**usual, **fields})


def callback_message(**fields: Any) -> Message:
    """Return the callback's message: the header's group id, no index, nothing embedded."""
    usual = {"task_id": "body", "name": "zoo.collect", "queue": "celery", "group_id": "group"}
    return Message(**{**usual, **fields})


def keys(**fields: Any) -> ChordKeys:
    """Return what the keys of the chord say; the length of `.j` is that of `parts` unless given."""
    parts = fields.get("parts", ())
    return ChordKeys(**{"chord_id": "group", "counted": len(parts), **fields})


def evidence(
    chord_keys: ChordKeys, *messages: Message, held: tuple[WorkerTask, ...] = (), **fields: Any
) -> ChordEvidence:
    """Return what one look saw, with everything read to its end."""
    usual = {
        "messages": tuple(m for m in messages if m.group_id == chord_keys.chord_id),
        "waiting": {m.task_id: m for m in messages},
        "held": {task.task_id: WorkerPlace(hostname="w1@zoo", task=task) for task in held},
        "everywhere": True,
    }
    return ChordEvidence(keys=chord_keys, **{**usual, **fields})


def active(task_id: str) -> WorkerTask:
    """Return a task that the worker runs."""
    return WorkerTask(task_id=task_id, name="zoo.nap", kind="active", started_at=NOW - 3)


def header_task(number: int, **fields: Any) -> HeaderTask:
    """Return a header task of a chord."""
    return HeaderTask(**{"index": number, "task_id": f"h{number}", "name": "zoo.add", **fields})


def open_chord(**fields: Any) -> Chord:
    """Return an open chord, one of two counted."""
    usual: dict[str, Any] = {
        "chord_id": "group",
        "state": "open",
        "health": "ok",
        "size": 2,
        "counted": 1,
        "missing": (MissingPart(index=1, task_id="h1", name="zoo.add"),),
        "callback": Callback(task_id="body", name="zoo.collect"),
        "header": (header_task(0, counted=True, state="succeeded"), header_task(1)),
        "progressed_at": NOW - 60,
    }
    return Chord(**{**usual, **fields})


def consumers(*workers: Worker, **fields: Any) -> Consumers:
    """Return who reads the queues, asked just now."""
    return Consumers(**{"asked_at": NOW, "workers": workers, **fields})


def in_queue(name: str = "celery", **fields: Any) -> Place:
    """Return the place of a task in a queue."""
    return Place(kind="queue", name=name, **fields)
