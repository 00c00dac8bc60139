"""What the readers saw, as plain values: the only part of `evidence` that `diagnosis` needs.

Pure, standard library only. Times are Unix seconds by this machine's clock, None where not known.
Texts come from other people's systems and are hostile: escape them where they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from chordwatch.model import TaskState
from chordwatch.recording.signatures import Body, EmbeddedPart

Claim = Literal["claimed", "done"]
PlaceKind = Literal["queue", "unacked", "active", "reserved", "scheduled", "nowhere", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One counted part, from `.j` or, where that cannot be read, from `.d` (state unknown then)."""

    index: int | None
    task_id: str
    state: TaskState = "unknown"
    error_type: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChordKeys:
    """What the result backend's keys of one group id say.

    `size` is `.s`, `added` is `.t`, `counted` the length of `.j`; `claim` is `.c`.
    `members` are the task ids of a complex header's GroupResult, in header order.
    `parts_complete` is False when `parts` leaves counted ones out.
    """

    chord_id: str
    size: int | None = None
    added: int = 0
    counted: int = 0
    claim: Claim | None = None
    parts: tuple[Part, ...] = ()
    parts_complete: bool = True
    members: tuple[str, ...] = ()
    touched_at: float | None = None
    expires_at: float | None = None

    @property
    def exists(self) -> bool:
        """Whether any key of the chord was there. A lone GroupResult may be a plain group's."""
        return self.size is not None or self.counted > 0 or self.claim is not None or self.added > 0

    @property
    def total(self) -> int | None:
        """How many parts Celery waits for, None without `.s`."""
        return None if self.size is None else self.size + self.added


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A group or a chord's header as the task that sent it remembers it in its result's `children`."""

    group_id: str
    task_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskMeta:
    """One task's stored result, without the result itself."""

    task_id: str
    state: TaskState
    error_type: str | None = None
    error: str | None = None
    finished_at: float | None = None
    group_id: str | None = None
    parent_id: str | None = None
    name: str | None = None
    worker: str | None = None
    attempt: int | None = None
    queue: str | None = None
    children: tuple[str, ...] = ()
    launches: tuple[Launch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One task message in a queue, or delivered and not yet acknowledged (`delivered_at` set then).

    `unread` says that its body could not be read, so nothing is known of what it embeds.
    """

    task_id: str
    name: str | None
    queue: str
    group_id: str | None = None
    index: int | None = None
    attempt: int = 0
    eta: float | None = None
    root_id: str | None = None
    parent_id: str | None = None
    body: Body | None = None
    unread: bool = False
    unacked: bool = False
    delivered_at: float | None = None
    chain_ids: tuple[str, ...] = ()

    @property
    def is_callback(self) -> bool:
        """Whether it is a callback's, given that its group is a chord's: every header task embeds a callback.

        The members of a group as callback have an index, as those of a plain group have.
        """
        return self.group_id is not None and self.body is None and not self.unread


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One queue of the broker. `consumers` counts the workers that say they read it, None if not asked."""

    name: str
    length: int
    unacked: int
    consumers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTask:
    """A task a worker says it holds; `eta` only for scheduled ones, `started_at` only for active ones."""

    task_id: str
    name: str | None
    kind: Literal["active", "reserved", "scheduled"]
    started_at: float | None = None
    eta: float | None = None
    queue: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker that answered `inspect`. `concurrency` is None when its pool does not tell."""

    hostname: str
    queues: tuple[str, ...] = ()
    concurrency: int | None = None
    pid: int | None = None
    tasks: tuple[WorkerTask, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a task is now.

    `name` is the queue's (queue, unacked) or the worker's (active, reserved, scheduled).
    nowhere: in none of these, in one look. unknown: not all places could be read.
    """

    kind: PlaceKind
    name: str | None = None
    since: float | None = None
    eta: float | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlace:
    """A task as the worker `hostname` holds it."""

    hostname: str
    task: WorkerTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumers:
    """Who reads the queues, as far as workers answered.

    `asked_at` is None when they could not be asked (another transport, broker refused).
    `missing_since` tells, for queues that had a consumer and have none, since when.
    `unasked` are the queues in which messages were seen only after the workers had been asked.
    """

    asked_at: float | None = None
    workers: tuple[Worker, ...] = ()
    missing_since: Mapping[str, float] = field(default_factory=dict)
    unasked: frozenset[str] = frozenset()

    def of(self, queue: str) -> tuple[str, ...]:
        """Return the host names of the workers that read `queue`."""
        return tuple(worker.hostname for worker in self.workers if queue in worker.queues)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChordEvidence:
    """All that one look saw of one chord.

    `messages` are those of its group id; `carried` its parts (by task id) that other tasks' messages still hold.
    `metas`, `waiting` (messages by task id) and `held` (tasks at workers) cover all its tasks that were seen.
    `everywhere` is True when all queues, `unacked` and the workers were read to the end: only then may a task
    be said to be nowhere. `callback_metas` are several where a group is the callback.
    `header` (id, index, name) and `body` are what somebody else knows of the chord, so that it can be looked for.
    """

    keys: ChordKeys
    messages: tuple[Message, ...] = ()
    carried: Mapping[str, EmbeddedPart] = field(default_factory=dict)
    launch: Launch | None = None
    metas: Mapping[str, TaskMeta] = field(default_factory=dict)
    waiting: Mapping[str, Message] = field(default_factory=dict)
    held: Mapping[str, WorkerPlace] = field(default_factory=dict)
    callback_metas: tuple[TaskMeta, ...] = ()
    header: tuple[tuple[str, int | None, str | None], ...] = ()
    body: Body | None = None
    everywhere: bool = False
