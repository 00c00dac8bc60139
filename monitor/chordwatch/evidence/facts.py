"""What the readers saw, as plain values: the only part of `evidence` that `diagnosis` needs.

Pure, standard library only. Times are Unix seconds by this machine's clock, None where not known.
Texts come from other people's systems and are hostile: escape them where they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from chordwatch.model import TaskState
from chordwatch.recording.signatures import Body, EmbeddedPart

Claim = Literal["claimed", "done"]
PlaceKind = Literal["queue", "unacked", "active", "reserved", "scheduled", "unsent", "nowhere", "unknown"]
#: How the result backend counts a header: Redis in keys of the chord; django-celery-results in a row `ChordCounter`;
#: others not at all, there `celery.chord_unlock` polls the results. unread: chordwatch cannot read it, or had no time.
Counting = Literal["keys", "counter", "polling", "unread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One counted part, from `.j` or, where that cannot be read, from `.d` (state unknown then)."""

    index: int | None
    task_id: str
    state: TaskState = "unknown"
    error_type: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlock:
    """The message of a chord's `celery.chord_unlock`, which polls the header's results until all are there.

    `header` are the ids that it polls, in order; `retries` how often it found one of them without a result, every
    `interval` seconds (None: the configured `result_chord_retry_interval`). `unacked`: a worker holds it until `eta`.
    """

    chord_id: str
    task_id: str
    queue: str
    header: tuple[str, ...] = ()
    body: Body | None = None
    retries: int = 0
    interval: float | None = None
    max_retries: int | None = None
    unacked: bool = False
    eta: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChordKeys:
    """What the result backend says of one group id.

    `size` is `.s`, `added` is `.t`, `counted` the length of `.j`; `claim` is `.c`.
    `members` are the task ids of a complex header's GroupResult, in header order.
    `parts_complete` is False when `parts` leaves counted ones out. `dispatched_at`: when the claim became `done`.
    On backends that count otherwise (`counting`), `header` are the ids of all header tasks in order, `counted` and
    `parts` those of them that have a result; `remaining` is the count of the ChordCounter, None without such a row.
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
    dispatched_at: float | None = None
    counting: Counting = "keys"
    header: tuple[str, ...] = ()
    remaining: int | None = None
    unlock: Unlock | None = None

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
    """One task's stored result, without the result itself.

    `worker` and `pid` (of the process that runs it) are known of a running task where `task_track_started` is on;
    `started_at` only where its result's age tells.
    """

    task_id: str
    state: TaskState
    error_type: str | None = None
    error: str | None = None
    finished_at: float | None = None
    group_id: str | None = None
    parent_id: str | None = None
    name: str | None = None
    worker: str | None = None
    pid: int | None = None
    started_at: float | None = None
    attempt: int | None = None
    queue: str | None = None
    children: tuple[str, ...] = ()
    launches: tuple[Launch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One task message in a queue, or delivered and not yet acknowledged (`delivered_at` set then).

    `unread` says that its body could not be read, so nothing is known of what it embeds. `redelivered`: it was put back
    after it had been delivered before.
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
    redelivered: bool = False

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
    """One worker that answered `inspect`. `concurrency` is None when its pool does not tell.

    `pid` is the main process's, `processes` those of its pool; `started_at` is when the main process began.
    `told_tasks`: it told all its tasks; a busy worker leaves questions unanswered.
    """

    hostname: str
    queues: tuple[str, ...] = ()
    concurrency: int | None = None
    pid: int | None = None
    processes: tuple[int, ...] = ()
    started_at: float | None = None
    tasks: tuple[WorkerTask, ...] = ()
    told_tasks: bool = True


#: A worker takes tasks shortly before its first heartbeat, and a heartbeat is a moment on its way. Seconds.
_CLOCK_SLACK = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLife:
    """One life of an instrumented worker, from its start to its end: a restart under the same name is another one.

    Times are Unix seconds of the store's clock. `stale`: its last heartbeat is older than a living worker's can be.
    `gone`: it said goodbye. `connected`: its connection to the store is there; None where that could not be read.
    `stale_after`: for how long (seconds) a living worker can be silent at most. `queues` are those that it read at its
    last heartbeat, `left` others that it had read, the last of them until `left_at`. `active` and `reserved` are the
    chord tasks (ids) that it held at its last heartbeat. `clock_ahead`: by how many seconds its own clock, which its
    tasks' times are from, is ahead of the store's.
    """

    node: str
    boot: str
    since: float
    last_beat_at: float
    stale: bool
    stale_after: float = 8.0
    gone: bool = False
    connected: bool | None = None
    queues: tuple[str, ...] = ()
    concurrency: int | None = None
    pool: str | None = None
    active: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    clock_ahead: float = 0.0
    left: tuple[str, ...] = ()
    left_at: float | None = None

    @property
    def first_told_at(self) -> float:
        """When its first heartbeat came, by its own clock: it was there then, and shortly before."""
        return self.since + self.clock_ahead

    @property
    def last_told_at(self) -> float:
        """When its last heartbeat came, by its own clock."""
        return self.last_beat_at + self.clock_ahead

    def began_by(self, moment: float) -> bool:
        """Whether it had begun, as far as clocks can be trusted, at this time by its own clock."""
        return self.first_told_at <= moment + _CLOCK_SLACK

    def beat_after(self, moment: float) -> bool:
        """Whether it has told what it holds since this time by its own clock."""
        return self.last_told_at > moment + _CLOCK_SLACK

    def names(self, task_id: str) -> bool:
        """Whether its last heartbeat named the task among those that it held."""
        return task_id in self.active or task_id in self.reserved

    @property
    def alive(self) -> bool:
        """Whether it beats."""
        return not self.stale and not self.gone


ServerChangeKind = Literal["restarted", "flushed", "evicted", "role_changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerChange:
    """What happened to a Redis between two looks: at `until`, or since `since`; `text` says it with its numbers."""

    kind: ServerChangeKind
    since: float | None
    until: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What INFO says of one Redis; None where it was not told. `flushes` counts FLUSHDB and FLUSHALL since its start.

    `refused`: how often it has refused commands as it could not take them (Redis 6.2 and newer), by its word for why.
    `changes` are those that were noticed by comparing looks, oldest first.
    """

    run_id: str | None = None
    role: str | None = None
    started_at: float | None = None
    evicted_keys: int | None = None
    flushes: int | None = None
    maxmemory_policy: str | None = None
    maxmemory: int | None = None
    persistent: bool | None = None
    refused: Mapping[str, int] | None = None
    changes: tuple[ServerChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Settings of the installation that decide how long something lives or waits, in seconds; None where unknown.

    `visibility_timeout`: after so long Redis delivers an unacknowledged message again. `chord_expires`: so long do the
    chord's keys live after the last part. As this process's configuration has them, unless measured.
    """

    visibility_timeout: float | None = None
    chord_expires: float | None = None
    result_expires: float | None = None
    task_time_limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a task is now.

    `name` is the queue's (queue, unacked), the worker's (active, reserved, scheduled), or the group id of the inner
    chord whose callback it is (unsent: that chord's messages are there, and hold it until they are counted).
    `carrier_id`: the task whose place it is, where the task itself is yet to come. `delivered_at`: of a task at a
    worker, when its message was delivered, if that is not acknowledged yet. `message`: of a task at a worker, where its
    message is meanwhile. nowhere: in none of these, in one look. unknown: not all places could be read. `redelivered`
    is its message's.
    """

    kind: PlaceKind
    name: str | None = None
    since: float | None = None
    eta: float | None = None
    attempt: int | None = None
    redelivered: bool = False
    carrier_id: str | None = None
    delivered_at: float | None = None
    message: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlace:
    """A task as the worker `hostname` holds it."""

    hostname: str
    task: WorkerTask


@dataclass(frozen=True, kw_only=True)
class Consumers:
    """Who reads the queues, as far as workers answered.

    `asked_at` is None when they could not be asked (another transport, broker refused).
    `missing_since` tells, for queues that had a consumer and have none, since when.
    `unasked` are the queues in which messages were seen only after the workers had been asked, with the time (Unix
    seconds) of the first look that saw any.
    `counted`: how many consumers each queue has by the broker's own count, where that tells (RabbitMQ).
    `inferred`: the broker could not be read; that a task waits in a queue is what records tell.
    `silent` are workers that answered a short while ago and do not now, or not all questions: they may hold anything.
    """

    asked_at: float | None = None
    workers: tuple[Worker, ...] = ()
    missing_since: Mapping[str, float] = field(default_factory=dict)
    unasked: Mapping[str, float] = field(default_factory=dict)
    counted: Mapping[str, int] = field(default_factory=dict)
    inferred: bool = False
    silent: frozenset[str] = frozenset()

    def of(self, queue: str) -> tuple[str, ...]:
        """Return the host names of the workers that read `queue`."""
        return self._by_queue.get(queue, ())

    @cached_property
    def _by_queue(self) -> Mapping[str, tuple[str, ...]]:
        queues = {queue for worker in self.workers for queue in worker.queues}
        return {q: tuple(worker.hostname for worker in self.workers if q in worker.queues) for q in queues}


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
