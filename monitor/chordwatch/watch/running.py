"""What workers do that do not answer, as records and heartbeats tell it: a busy worker is often silent. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import TypeGuard

from chordwatch.diagnosis.lives import taker_of
from chordwatch.evidence.facts import Consumers, Place, Queue, Worker, WorkerLife
from chordwatch.model import FINISHED, Callback, HeaderTask
from chordwatch.recording.records import MAX_IDS
from chordwatch.store.protocol import WorkerRecord
from chordwatch.watch.lives import lives_of
from chordwatch.watch.look import Sighting
from chordwatch.watch.recorded import STALE_BEAT

#: So many heartbeats may be missing where they are far apart.
_BEATS_MISSED = 4
#: The main process of this pool runs no task and answers at once; others are silent while they are busy.
_ALWAYS_ANSWERS = "prefork"
#: A worker takes tasks shortly before its first heartbeat, and a heartbeat is a moment on its way. Seconds.
_SLACK = 5.0
#: A worker that reads a queue has told so in a heartbeat when the queue has been seen filled for so long. Seconds.
_TOLD = 4.0
#: What has ended is at no worker, whatever the backend does not know yet.
_ENDED = frozenset({"succeeded", "failed", "revoked", "rejected", "ignored"})


def stale_after(heartbeat_interval: float) -> float:
    """Return how old (seconds) a worker's last heartbeat may be at most; `heartbeat_interval` in seconds."""
    return max(STALE_BEAT, _BEATS_MISSED * heartbeat_interval)


@dataclass(frozen=True, kw_only=True)
class Liveness:
    """What speaks for and against a task's being where it was recorded: its worker's answers, heartbeats, connection.

    `workers` are the store's, `connections` those of its Redis (None: not read), `now` its clock; `looked_at` when this
    look at the broker began, `stale` the age in seconds of a heartbeat that is too old. `queues_read`: queues and
    `unacked` were read to their end in this look, but for those that are `opaque`.
    """

    consumers: Consumers
    workers: Sequence[WorkerRecord] = ()
    connections: frozenset[tuple[str, str]] | None = None
    now: float
    looked_at: float
    stale: float = STALE_BEAT
    queues_read: bool = False
    opaque: frozenset[str] = frozenset()

    @cached_property
    def lives(self) -> Mapping[str, tuple[WorkerLife, ...]]:
        """The lives of instrumented workers by node name, oldest first."""
        return lives_of(self.workers, self.connections, self.now, self.stale)

    @cached_property
    def instrumented_only(self) -> bool:
        """Whether every worker that is known beats: what none of them holds, nobody holds.

        One that answered and has ended since holds nothing and reads nothing.
        """
        alive = {node for node, lives in self.lives.items() if lives[-1].alive}
        ended = {node for node, lives in self.lives.items() if self._ended_since_asked(lives[-1])}
        return self.consumers.asked_at is not None and bool(alive) and self._answered <= alive | ended

    @cached_property
    def all_answered(self) -> bool:
        """Whether every worker that beats has said what it holds; one that is busy or stopped does not answer."""
        return all(node in self._answered for node, lives in self.lives.items() if lives[-1].alive)

    def runs(self, worker: str, since: float, task_id: str = "") -> bool:
        """Whether a task that `worker` took at `since` may still be there."""
        asked_at = self.consumers.asked_at
        if asked_at is not None and asked_at > self.ours(worker, since) and worker in self._answered:
            return False  # it named the tasks that it runs
        beats = [record for record in self.workers if record.heartbeat.node == worker]
        # One that beats since later was started anew, and runs nothing of before.
        if not beats:
            return True
        return any(
            self._lives(record)
            and record.first_beat_at + record.clock_ahead <= since + _SLACK
            and not _let_go(record, task_id, since)
            for record in beats
        )

    def ours(self, worker: str, moment: float) -> float:
        """Return a time by the worker's clock as a time by the store's."""
        lives = self.lives.get(worker)
        return moment - lives[-1].clock_ahead if lives else moment

    def frozen(self, worker: str, since: float, task_id: str) -> bool:
        """Whether the worker that took a task is silent but connected: it goes on where it stopped, if it ever does."""
        lives = self.lives.get(worker, ())
        taker = taker_of(lives, task_id, since)
        life = taker.life or next(iter(lives), None)
        return life is not None and taker.rival is None and life.stale and life.connected is True

    def holder(self, task_id: str) -> Place | None:
        """Return the living worker whose last heartbeat names the task."""
        return self._held.get(task_id)

    def reads(self, queue: str | None) -> bool:
        """Whether a task of this queue would have been seen in it."""
        return self.queues_read and (queue not in self.opaque if queue else not self.opaque)

    def dead(self, worker: str) -> bool:
        """Whether the worker is known by its heartbeats, and what it answered earlier is no longer true."""
        lives, asked_at = self.lives.get(worker, ()), self.consumers.asked_at
        return bool(lives) and (not lives[-1].alive or lives[-1].since > (asked_at or 0.0) + _SLACK)

    @cached_property
    def _held(self) -> Mapping[str, Place]:
        held: dict[str, Place] = {}
        for beat in (record.heartbeat for record in self.workers if self._lives(record)):
            held |= {task_id: Place(kind="reserved", name=beat.node) for task_id in beat.reserved}
            held |= {task_id: Place(kind="active", name=beat.node) for task_id in beat.active}
        return held

    @cached_property
    def readers(self) -> Consumers:
        """Who reads the queues: those that answered, and those that are silent and live."""
        if self.consumers.asked_at is None:
            return self.consumers  # of others than the recorded ones nothing is known
        silent = {
            record.heartbeat.node: Worker(
                hostname=record.heartbeat.node,
                queues=record.heartbeat.queues,
                concurrency=record.heartbeat.concurrency,
                pid=record.heartbeat.pid,
            )
            for record in self.workers
            if record.heartbeat.node not in self._answered and self._beats(record)
        }
        return replace(
            self.consumers,
            workers=(*self.consumers.workers, *silent.values()),
            unasked=self._unasked,
            missing_since={**self._left, **self.consumers.missing_since},
        )

    def with_readers(self, queues: Sequence[Queue]) -> tuple[Queue, ...]:
        """Return the queues with how many workers read each now, unless the broker itself has counted them.

        Workers that beat tell it all the time; the others when they are asked, which is rarely.
        """
        if self.consumers.asked_at is None:
            return tuple(queues)
        told = {worker.hostname: worker.queues for worker in self.consumers.workers}
        told |= dict.fromkeys(self.lives, ())
        told |= {
            record.heartbeat.node: record.heartbeat.queues for record in self.workers if self._beats(record)
        }
        readers = Counter(name for names in told.values() for name in names)
        return tuple(
            queue if queue.name in self.consumers.counted else replace(queue, consumers=readers[queue.name])
            for queue in queues
        )

    @cached_property
    def _left(self) -> Mapping[str, float]:
        """When the last instrumented worker that read a queue was there last, by the clock of this process.

        One that shuts down answers that it reads none, while its last heartbeat still tells otherwise.
        """
        answered = {worker.hostname: worker.queues for worker in self.consumers.workers}
        ago: dict[str, float] = {}
        for life in (lives[-1] for lives in self.lives.values()):
            read_until = dict.fromkeys(life.left, life.left_at or life.last_beat_at)
            reads = answered.get(life.node, life.queues) if life.alive else ()
            read_until |= dict.fromkeys(set(life.queues).difference(reads), life.last_beat_at)
            ago |= {queue: min(self.now - at, ago.get(queue, inf)) for queue, at in read_until.items()}
        return {queue: self.looked_at - seconds for queue, seconds in ago.items()}

    @cached_property
    def _unasked(self) -> Mapping[str, float]:
        """The queues of which nobody has said yet who reads them: where every worker beats, their beats say it soon."""
        if not self.instrumented_only:
            return self.consumers.unasked
        told = self.looked_at - _TOLD
        return {queue: since for queue, since in self.consumers.unasked.items() if since > told}

    @cached_property
    def _answered(self) -> frozenset[str]:
        return frozenset(worker.hostname for worker in self.consumers.workers)

    def _ended_since_asked(self, life: WorkerLife) -> bool:
        # Had it ended long before, then whoever answered by its name was another worker, which does not beat.
        answered = life.last_beat_at + self.stale >= (self.consumers.asked_at or inf)
        return answered and (life.gone or (life.stale and life.connected is False))

    def _beats(self, record: WorkerRecord) -> bool:
        return not record.gone and self.now - record.last_beat_at <= self.stale

    def _lives(self, record: WorkerRecord) -> bool:
        if not self._beats(record):
            return False
        asked_at = self.consumers.asked_at
        silent = record.heartbeat.node not in self._answered
        deaf = silent and asked_at is not None and record.last_beat_at < asked_at
        return not (deaf and record.heartbeat.pool == _ALWAYS_ANSWERS)


def _let_go(record: WorkerRecord, task_id: str, since: float) -> bool:
    """Whether a heartbeat from after the task was taken names it no longer."""
    beat = record.heartbeat
    named = {*beat.active, *beat.reserved}
    told_at = record.last_beat_at + record.clock_ahead
    return told_at > since + _SLACK and task_id not in named and len(named) < MAX_IDS


def with_running(sighting: Sighting, liveness: Liveness, step_id: str | None = None) -> Sighting:
    """Return the sighting with the places of those tasks that record and heartbeats locate, or fail to.

    `step_id`: the task that a callback of several has come to; it is known to workers by that id.
    """
    if sighting.chord.state in FINISHED:
        return sighting
    places = {id_: _still(place, liveness) for id_, place in sighting.places.items()}
    taken = dict(_recorded(sighting))
    tasks: tuple[HeaderTask | Callback, ...] = (*sighting.chord.header, sighting.chord.callback)
    read = {task.task_id: liveness.reads(task.queue) for task in tasks}
    known_as = {sighting.chord.callback.task_id: step_id} if step_id else {}
    for task_id, place in taken.items():
        known = places.get(task_id)
        if known is None or _goes_before(place, known, liveness):
            own_id = known_as.get(task_id, task_id)
            places[task_id] = _placed(own_id, place, known, liveness, read=read[task_id])
    for task_id in _unlocated(sighting, places, taken):
        places[task_id] = liveness.holder(known_as.get(task_id, task_id)) or _absent(
            certain=liveness.instrumented_only and read[task_id]
        )
    return replace(sighting, places=places)


def _still(place: Place, liveness: Liveness) -> Place:
    """Return the place, or where its message is if it rests on an old answer of a worker that has died since."""
    at_worker = place.kind in ("active", "reserved", "scheduled")
    if not (at_worker and liveness.dead(place.name or "")):
        return place
    return place.message or Place(kind="unknown")


def _unlocated(sighting: Sighting, places: Mapping[str, Place], taken: Mapping[str, Place]) -> Iterator[str]:
    """Yield the tasks that wait to be taken, as far as is recorded, and were not located."""
    chord = sighting.chord
    tasks: tuple[HeaderTask | Callback, ...] = (
        *(task for task in chord.header if not task.counted),
        chord.callback,
    )
    for task in tasks:
        known = places.get(task.task_id or "")
        if (
            task.task_id
            and task.task_id not in taken
            and task.state not in _ENDED
            and not _is_between_steps(task)
            and (known.kind == "unknown" if _is_placed(known) else task.published_at is not None)
        ):
            yield task.task_id


def _is_between_steps(task: HeaderTask | Callback) -> bool:
    """Whether a callback has ended a task and not sent its next one, as far as is told."""
    return isinstance(task, Callback) and task.state == "started" and task.worker is None


def _goes_before(taken: Place, known: Place, liveness: Liveness) -> bool:
    """Whether the record knows better than the X-ray where a task is."""
    since = taken.since or 0.0
    if known.kind == "unacked":
        # A late acknowledgement comes after the task; a delivery after its start is another one.
        return taken.kind == "active" and since + _SLACK >= (known.since or 0.0)
    # What was taken during the look is not where the look met it.
    at_once = liveness.ours(taken.name or "", since) >= liveness.looked_at
    return known.kind in ("unsent", "nowhere", "unknown") or at_once


def _placed(task_id: str, place: Place, known: Place | None, liveness: Liveness, *, read: bool) -> Place:
    worker, since = place.name or "", place.since or 0.0
    if liveness.frozen(worker, since, task_id):
        return place
    if held := liveness.holder(task_id):
        return place if held.kind == place.kind and held.name == worker else held
    if liveness.runs(worker, since, task_id):
        return place
    if _is_placed(known) and known.kind != "unknown":
        return known
    return _absent(certain=read and bool(liveness.lives.get(worker)))


def _is_placed(known: Place | None) -> TypeGuard[Place]:
    """Whether the X-ray tells where a task is; that it is not sent yet is a message's word, which may be a late one."""
    return known is not None and known.kind != "unsent"


def _absent(*, certain: bool) -> Place:
    """Return that a task is nowhere, where its queue was read and all who can hold it are known; else not known."""
    return Place(kind="nowhere" if certain else "unknown")


def _recorded(sighting: Sighting) -> Iterator[tuple[str, Place]]:
    """Yield the tasks that are waited for and that a worker has taken, with that worker."""
    chord = sighting.chord
    tasks: tuple[HeaderTask | Callback, ...] = (
        *(task for task in chord.header if not task.counted),
        chord.callback,
    )
    for task in tasks:
        if not task.task_id or not task.worker:
            continue
        if task.state == "started" and task.started_at is not None:
            yield (
                task.task_id,
                Place(kind="active", name=task.worker, since=task.started_at, attempt=task.attempt),
            )
        elif task.state in ("received", "retrying") and isinstance(task, HeaderTask) and task.attempts:
            last = task.attempts[-1]
            if last.received_at is not None and last.started_at is None:
                yield (
                    task.task_id,
                    Place(kind="reserved", name=last.worker, since=last.received_at, attempt=task.attempt),
                )
