"""Batches as instrumented processes send them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack

from chordwatch.recording.records import VERSION, End, Kind, Role, Trace, pack_id, pack_trace
from chordwatch.store.protocol import Store

TASK, QUEUE, CALLBACK = "proj.tasks.part", "celery", "proj.tasks.whole"


def new_id() -> str:
    """Return an id as Celery makes it."""
    return str(uuid.uuid4())


def record(  # as many as a record has
    kind: Kind,
    task_id: str,
    at: float,
    *,
    role: Role = Role.HEADER,
    index: int | None = None,
    retries: int = 0,
    nesting: int = 0,
    name: str | None = TASK,
    queue: str | None = QUEUE,
    end: End | None = None,
    started: float | None = None,
    counted: bool | None = None,
    last: bool | None = None,
    error: str | None = None,
    eta: float | None = None,
    dynamic: bool | None = None,
) -> list[Any]:
    """Return a record whose names are still text."""
    head = [int(kind), int(role), pack_id(task_id), index, retries, nesting, at, name, queue]
    return [*head, end and int(end), started, counted, last, error, eta, dynamic]


def published(task_id: str, at: float, **fields: Any) -> list[Any]:
    """Return the record of a message that was published."""
    return record(Kind.PUBLISHED, task_id, at, **fields)


def received(task_id: str, at: float, **fields: Any) -> list[Any]:
    """Return the record of a message that a worker received."""
    return record(Kind.RECEIVED, task_id, at, **fields)


def started(task_id: str, at: float, **fields: Any) -> list[Any]:
    """Return the record of a start."""
    return record(Kind.STARTED, task_id, at, **fields)


def ended(task_id: str, at: float, end: End = End.SUCCEEDED, **fields: Any) -> list[Any]:
    """Return the record of an end."""
    return record(Kind.ENDED, task_id, at, end=end, **fields)


class Process:
    """An instrumented process: numbers its batches."""

    def __init__(self, store: Store, node: str = "worker@host", boot: str | None = None) -> None:
        self.store, self.node, self.boot, self.sequence = store, node, boot or uuid.uuid4().hex, 0

    def send(self, chord_id: str, records: Sequence[list[Any]] = (), **facts: Any) -> bytes:
        """Apply a batch of one chord, and return it."""
        return self.send_all([(chord_id, facts, records)])

    def send_all(self, chords: Sequence[tuple[str, Mapping[str, Any], Sequence[list[Any]]]]) -> bytes:
        """Apply a batch of several chords, and return it."""
        self.sequence += 1
        batch = pack(self.boot, self.sequence, self.node, chords)
        self.store.apply(batch)
        return batch


def pack(
    boot: str,
    sequence: int,
    node: str,
    chords: Sequence[tuple[str, Mapping[str, Any], Sequence[list[Any]]]],
    dropped: Mapping[str, int] | None = None,
) -> bytes:
    """Return a batch."""
    strings: dict[str, int] = {}

    def place(name: str | None) -> int | None:
        return None if name is None else strings.setdefault(name, len(strings))

    packed = [
        [pack_id(chord_id), facts, [[*r[:7], place(r[7]), place(r[8]), *r[9:]] for r in records]]
        for chord_id, facts, records in chords
    ]
    document = [VERSION, boot, sequence, node, dropped or {}, list(strings), packed]
    data: bytes = msgpack.packb(document, use_bin_type=False, unicode_errors="surrogatepass")
    return data


def callback(task_id: str, name: str = CALLBACK, ends: int = 1) -> list[Any]:
    """Return the fact about a callback."""
    return [pack_id(task_id), name, QUEUE, ends]


def run_chord(
    store: Store,
    *,
    size: int,
    at: float,
    name: str = CALLBACK,
    chord_id: str | None = None,
    trace: Trace | None = None,
) -> tuple[str, str, list[str]]:
    """Record the whole life of a chord; return its id, its callback's and its header tasks'."""
    chord_id, callback_id, tasks = chord_id or new_id(), new_id(), [new_id() for _ in range(size)]
    producer, worker = Process(store, "producer"), Process(store)
    parts = list(enumerate(tasks))
    facts = {"c": callback(callback_id, name), "n": size, "a": at}
    if trace:
        facts["t"] = pack_trace(trace)
    producer.send(chord_id, [published(i, at + n / 1000, index=n) for n, i in parts], **facts)
    ends = [ended(i, at + 2 + n / 1000, index=n, started=at + 1, counted=True) for n, i in parts]
    worker.send(chord_id, ends)
    worker.send(chord_id, callback_run(callback_id, at + 3, name))
    return chord_id, callback_id, tasks


def callback_run(callback_id: str, at: float, name: str = CALLBACK) -> list[list[Any]]:
    """Return the records of a callback that was published at `at` and succeeded."""
    role = {"role": Role.CALLBACK, "name": name}
    return [
        published(callback_id, at, **role),
        ended(callback_id, at + 1, started=at + 0.5, last=True, **role),
    ]
