"""What one chord is judged by: the chord, where its tasks are, and all that bears on it. Pure values.

Everything that could not be learned is None or empty; `blind` says in sentences what was not readable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from chordwatch.diagnosis.wording import name_words, the_callback
from chordwatch.evidence.facts import (
    ChordKeys,
    Consumers,
    Limits,
    Message,
    Place,
    PlaceKind,
    Server,
    TaskMeta,
    WorkerLife,
    WorkerPlace,
)
from chordwatch.model import FINISHED, Chord, HeaderTask, Verdict
from chordwatch.store.protocol import RecordedChord
from chordwatch.text import plain

#: A queue that lost its last consumer this short ago is one of a rolling restart. Seconds.
RESTART_SECONDS = 30.0
_UNKNOWN = Place(kind="unknown")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A chord with what bears on it; `now` in Unix seconds.

    `places`: where its tasks are that are not counted, and its callback, by task id. `nowhere_since`: those of them
    that two looks in a row found nowhere, with the time of the first; `nameless_since` the same for the missing
    parts whose ids nobody knows, or the callback's. `keys`: what Celery's own keys say, `metas`: the stored results of
    its tasks that were read, by task id. `recorded`: what the store knows, None for a chord of which
    nobody told. `lives`: those of instrumented workers, newest last, by node name; `instrumented_only`: every
    worker that is known beats, so that what none of them holds is held by nobody. `usual`: by task name the seconds
    that nearly all of its finished runs took at most. `related`: by the id of a task of this chord, the other chord
    that ends with it, or is started by it. `upstream`: for a planned chord, the task before it that failed.
    `children`: messages that no worker has begun, by the id of the running task that sent them. `rate_limits`: by task
    name the rate limit, None where it was not asked for. `starts_seen`: how often looks saw the same attempt of a
    task started anew, by task id, for those that no record tells of.
    `deliveries_seen`: when a look first saw that the task's message was delivered and not acknowledged, by task id.
    `strays`: failed results that name no group and may be a chord's, the oldest first. `strangers`: tasks at workers
    that may be parts of any chord whose parts' ids nobody knows; only where this chord has such parts.
    `explained`: the tasks that a rule before has explained; `open_parts` leaves them out. `found`: the
    verdicts of the rules before.
    """

    chord: Chord
    places: Mapping[str, Place]
    consumers: Consumers
    now: float
    nowhere_since: Mapping[str, float] = field(default_factory=dict)
    nameless_since: float | None = None
    keys: ChordKeys | None = None
    metas: Mapping[str, TaskMeta] = field(default_factory=dict)
    recorded: RecordedChord | None = None
    lives: Mapping[str, tuple[WorkerLife, ...]] = field(default_factory=dict)
    instrumented_only: bool = False
    broker: Server = field(default_factory=Server)
    backend: Server = field(default_factory=Server)
    limits: Limits = field(default_factory=Limits)
    usual: Mapping[str, float] = field(default_factory=dict)
    overdue_floor: float = 300.0
    related: Mapping[str, Chord] = field(default_factory=dict)
    upstream: HeaderTask | None = None
    children: Mapping[str, tuple[Message, ...]] = field(default_factory=dict)
    rate_limits: Mapping[str, str] | None = None
    starts_seen: Mapping[str, int] = field(default_factory=dict)
    deliveries_seen: Mapping[str, float] = field(default_factory=dict)
    strays: tuple[TaskMeta, ...] = ()
    strangers: tuple[WorkerPlace, ...] = ()
    blind: tuple[str, ...] = ()
    explained: frozenset[str] = frozenset()
    found: tuple[Verdict, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the chord has begun and not finished."""
        return self.chord.state not in FINISHED and self.chord.state != "planned"

    @property
    def complete(self) -> bool:
        """Whether all parts are counted."""
        return self.chord.size is not None and self.chord.counted >= self.chord.size

    def open_parts(self) -> Iterator[HeaderTask]:
        """Yield the parts that are known by id, not counted, and not explained by a rule before."""
        for task in self.chord.header:
            if task.task_id and not task.counted and task.task_id not in self.explained:
                yield task

    def task(self, task_id: str) -> HeaderTask | None:
        """Return the header task with this id."""
        return self._by_id.get(task_id)

    def place(self, task_id: str | None) -> Place:
        """Return where a task is."""
        return self.places.get(task_id or "", _UNKNOWN)

    def lost(self, task_id: str | None) -> bool:
        """Whether two looks in a row found the task nowhere."""
        return task_id in self.nowhere_since

    def in_places(self, *kinds: PlaceKind) -> dict[str, Place]:
        """Return the places of the tasks that are in such a place and not explained by a rule before."""
        return {
            task_id: place
            for task_id, place in self.places.items()
            if place.kind in kinds and task_id not in self.explained
        }

    def by_queue(self) -> dict[str, list[str]]:
        """Return the tasks that lie in queues, by queue."""
        return grouped(self.in_places("queue"))

    @cached_property
    def last_readers(self) -> Mapping[str, tuple[str, ...]]:
        """The instrumented workers that were online last, with their queues; empty while any worker is online."""
        last = () if self.consumers.workers else (lives[-1] for lives in self.lives.values() if lives)
        return {life.node: life.queues or life.left for life in last}

    def scheduled(self) -> dict[str, Place]:
        """Return the tasks that a worker holds back until their time, and those on the way to one that reads."""
        held = self.in_places("scheduled", "unacked")
        coming = {t: p for t, p in self.in_places("queue").items() if self.consumers.of(p.name or "")}
        timed = {t: p for t, p in {**held, **coming}.items() if p.eta is not None}
        # In a queue, an ETA that has passed makes no difference any more.
        return {t: p for t, p in timed.items() if p.kind != "queue" or (p.eta or 0) > self.now}

    def undecided(self, queue: str) -> bool:
        """Whether it is too early to say that nobody reads the queue, or the broker itself counts a consumer."""
        counted = self.consumers.counted.get(queue, 0) > 0
        return queue in self.consumers.unasked or counted or self._restarting(queue) or self._was_read(queue)

    def knows_readers(self, queue: str) -> bool:
        """Whether no unknown worker can read the queue: every worker beats, or the broker itself counts consumers."""
        beaten = self.instrumented_only and not self.consumers.inferred
        return beaten or queue in self.consumers.counted

    def described(self, task_id: str) -> str:
        """Return how a person would call the task."""
        if task_id == self.chord.callback.task_id:
            return f"{the_callback(self.chord)} {plain(task_id)}"
        task = self.task(task_id)
        if task is None:
            return plain(task_id)
        index = "" if task.index is None else f" (index {task.index})"
        return f"{name_words(task.name)}{index} {plain(task_id)}"

    @property
    def since(self) -> float | None:
        """Since when nothing has happened, as far as nothing better is known."""
        return self.chord.progressed_at or self.chord.opened_at

    @cached_property
    def _by_id(self) -> dict[str, HeaderTask]:
        return {task.task_id: task for task in self.chord.header if task.task_id}

    def _was_read(self, queue: str) -> bool:
        """Whether a worker is known to have taken a part of this chord from the queue a short while ago."""
        return any(
            run.received_at is not None and self.now - run.received_at < RESTART_SECONDS
            for task in self.chord.header
            if task.queue == queue
            for run in task.attempts
        )

    def _restarting(self, queue: str) -> bool:
        since, asked_at = self.consumers.missing_since.get(queue), self.consumers.asked_at
        return since is not None and asked_at is not None and asked_at - since < RESTART_SECONDS


def grouped(places: Mapping[str, Place]) -> dict[str, list[str]]:
    """Return the tasks by the name of their place."""
    found: dict[str, list[str]] = defaultdict(list)
    for task_id, place in places.items():
        found[place.name or ""].append(task_id)
    return found
