"""Where recorded tasks run that the X-ray did not locate: a busy worker does not always answer. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from chordwatch.evidence.facts import Consumers, Place
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


@dataclass(frozen=True, slots=True, kw_only=True)
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
        asked = asked_at is not None and asked_at > since
        if asked and any(answer.hostname == worker for answer in self.consumers.workers):
            return False  # it named the tasks that it runs
        beats = [record for record in self.workers if record.heartbeat.node == worker]
        return not beats or any(self._beats(record, since, asked_at if asked else None) for record in beats)

    def _beats(self, record: WorkerRecord, since: float, asked_at: float | None) -> bool:
        """Whether the worker lives and is the one that started the task; `asked_at` when it gave no answer."""
        if record.gone or self.now - record.last_beat_at > self.stale:
            return False
        if (
            record.heartbeat.pool == _ALWAYS_ANSWERS
            and asked_at is not None
            and record.last_beat_at < asked_at
        ):
            return False
        return record.first_beat_at <= since + _SLACK  # else it was started anew since


def with_running(sighting: Sighting, liveness: Liveness) -> Sighting:
    """Return the sighting with the places of those tasks that the record says are running."""
    if sighting.chord.state in FINISHED:
        return sighting
    places = dict(sighting.places)
    for task_id, place in _recorded(sighting):
        known = places.get(task_id)
        unlocated = known is None or known.kind in ("nowhere", "unknown")
        # What was started during the look is not where the look met it.
        if unlocated or (place.since or 0.0) >= liveness.looked_at:
            places[task_id] = _placed(place, known, liveness)
    return replace(sighting, places=places)


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
