"""What workers do that do not answer, as records and heartbeats tell it: a busy worker is often silent. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from chordwatch.evidence.facts import Consumers, Place, Worker
from chordwatch.model import FINISHED, Callback, HeaderTask
from chordwatch.store.protocol import WorkerRecord
from chordwatch.watch.look import Sighting

#: A worker whose last heartbeat is older may be dead: so many seconds, or so many heartbeats that are far apart.
STALE_BEAT = 10.0
_BEATS_MISSED = 5
#: The main process of this pool runs no task and answers at once; others are silent while they are busy.
_ALWAYS_ANSWERS = "prefork"
#: Clocks of workers and store differ, and a worker takes tasks shortly before its first heartbeat. Seconds.
_SLACK = 5.0


def stale_after(heartbeat_interval: float) -> float:
    """Return how old (seconds) a worker's last heartbeat may be at most; `heartbeat_interval` in seconds."""
    return max(STALE_BEAT, _BEATS_MISSED * heartbeat_interval)


@dataclass(frozen=True, kw_only=True)
class Liveness:
    """What speaks against a task that was recorded as started: its worker's answer, or no heartbeat.

    `workers` are the store's, `now` its clock; `looked_at` when this look at the broker began, `stale` the age in
    seconds of a heartbeat that is too old.
    """

    consumers: Consumers
    workers: Sequence[WorkerRecord] = ()
    now: float
    looked_at: float
    stale: float = STALE_BEAT

    def runs(self, worker: str, since: float) -> bool:
        """Whether a task that `worker` started at `since` may still run."""
        asked_at = self.consumers.asked_at
        if asked_at is not None and asked_at > since and worker in self._answered:
            return False  # it named the tasks that it runs
        beats = [record for record in self.workers if record.heartbeat.node == worker]
        # One that beats since later was started anew, and runs nothing of before.
        return not beats or any(
            self._lives(record) and record.first_beat_at <= since + _SLACK for record in beats
        )

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
            if record.heartbeat.node not in self._answered and self._lives(record)
        }
        return replace(self.consumers, workers=(*self.consumers.workers, *silent.values()))

    @cached_property
    def _answered(self) -> frozenset[str]:
        return frozenset(worker.hostname for worker in self.consumers.workers)

    def _lives(self, record: WorkerRecord) -> bool:
        if record.gone or self.now - record.last_beat_at > self.stale:
            return False
        asked_at = self.consumers.asked_at
        silent = record.heartbeat.node not in self._answered
        deaf = silent and asked_at is not None and record.last_beat_at < asked_at
        return not (deaf and record.heartbeat.pool == _ALWAYS_ANSWERS)


def with_running(sighting: Sighting, liveness: Liveness) -> Sighting:
    """Return the sighting with the places of those tasks that the record says are running."""
    if sighting.chord.state in FINISHED:
        return sighting
    places = dict(sighting.places)
    for task_id, place in _recorded(sighting):
        known = places.get(task_id)
        if known is None or _goes_before(place, known, liveness.looked_at):
            places[task_id] = _placed(place, known, liveness)
    return replace(sighting, places=places)


def _goes_before(running: Place, known: Place, looked_at: float) -> bool:
    """Whether the record knows better than the X-ray where a task is."""
    started = running.since or 0.0
    if known.kind == "unacked":
        # A late acknowledgement comes after the task; a delivery after its start is another one.
        return started + _SLACK >= (known.since or 0.0)
    # What was started during the look is not where the look met it.
    return known.kind in ("nowhere", "unknown") or started >= looked_at


def _placed(place: Place, known: Place | None, liveness: Liveness) -> Place:
    if liveness.runs(place.name or "", place.since or 0.0):
        return place
    return known or Place(kind="unknown")


def _recorded(sighting: Sighting) -> Iterator[tuple[str, Place]]:
    """Yield the tasks that are waited for and have started, with the worker that runs them."""
    chord = sighting.chord
    tasks: tuple[HeaderTask | Callback, ...] = (
        *(task for task in chord.header if not task.counted),
        chord.callback,
    )
    for task in tasks:
        if task.task_id and task.state == "started" and task.worker and task.started_at is not None:
            yield (
                task.task_id,
                Place(kind="active", name=task.worker, since=task.started_at, attempt=task.attempt),
            )
