"""What a store knows of a chord, before it is read as one: sightings, whichever process sent them first.

Pure values, shared by the Redis store and the in-memory twin. Times are Unix milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from chordwatch.recording.records import Role, Trace


class State(IntEnum):
    """The chord's state as it is kept."""

    PLANNED = 0
    OPEN = 1
    SUCCEEDED = 2
    FAILED = 3


class Published(NamedTuple):
    """A message was published."""

    at: int
    queue: str | None


class Worked(NamedTuple):
    """A worker received a message, or started a task."""

    at: int
    worker: str | None


class Ended(NamedTuple):
    """A run ended; `started` names it, None where the reporter did not know it. `end` is an `End`."""

    at: int
    started: int | None
    end: int
    counted: bool
    last: bool
    error: str | None
    worker: str | None


@dataclass(slots=True)
class Tries:
    """Everything seen of one attempt of a task, which may have been run several times."""

    nesting: int
    retries: int
    name: str | None = None
    queue: str | None = None
    published: list[Published] = field(default_factory=list)
    received: list[Worked] = field(default_factory=list)
    started: list[Worked] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)


class SingleRun(NamedTuple):
    """The only run of a task, times where they are known; `end` is an `End`, 0 while it goes on."""

    queue: str | None
    worker: str | None
    published: int | None
    received: int | None
    started: int | None
    finished: int | None
    end: int


@dataclass(slots=True)
class TaskFacts:
    """Everything seen of one task. `eta` is the latest known. What ran once at most has `single`, not `tries`."""

    role: int = Role.HEADER
    index: int | None = None
    name: str | None = None
    counted: bool = False
    won: bool = False
    dynamic: bool = False
    eta: int | None = None
    single: SingleRun | None = None
    tries: list[Tries] = field(default_factory=list)


@dataclass(slots=True)
class CallbackFacts:
    """The callback as its chord announces it; `ends` is the number of tasks that end it."""

    task_id: str | None = None
    name: str | None = None
    queue: str | None = None
    ends: int = 0


@dataclass(slots=True)
class ChordFacts:
    """Everything seen of one chord. `size` is what Celery wrote; `added` counts parts that came dynamically.

    `counted_left_out`: `header` has only tasks that are not counted; `counted_indexes` are those of the others.
    """

    chord_id: str
    state: State = State.PLANNED
    size: int | None = None
    added: int = 0
    counted: int = 0
    failed: int = 0
    opened: int | None = None
    last_counted: int | None = None
    progressed: int | None = None
    callback: CallbackFacts = field(default_factory=CallbackFacts)
    errbacks: list[tuple[str | None, str | None]] = field(default_factory=list)
    root_id: str | None = None
    parent_id: str | None = None
    carrier_id: str | None = None
    applied: int = 0
    dispatch_error: tuple[int, str] | None = None
    signature: bytes | None = None
    trace: Trace | None = None
    detail_dropped: bool = False
    counted_left_out: bool = False
    counted_indexes: set[int | None] = field(default_factory=set)
    header: dict[str, TaskFacts] = field(default_factory=dict)
    others: dict[str, TaskFacts] = field(default_factory=dict)


def nearness(facts: ChordFacts, task_id: str) -> int:
    """Return how near a chord is to a task: 2 where it shows it, 1 where it is a step of its callback, 0 for none.

    The header of a chord that is itself a callback belongs to both chords, and is looked for in its own.
    """
    if task_id in facts.header or task_id == facts.callback.task_id:
        return 2
    return int(task_id in facts.others and facts.others[task_id].role == Role.CALLBACK)
