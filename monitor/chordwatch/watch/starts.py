"""How often looks saw the same attempt of a task begun anew, for tasks that no record tells of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chordwatch.evidence.facts import Place, Worker
from chordwatch.model import FINISHED
from chordwatch.watch.look import Sighting

_MAX_KEPT = 50_000
#: A worker tells a start anew each time it is asked; the time of a delivery is kept. Seconds.
_SAME = 0.5
#: What was begun anew longer ago is no loop any more. Seconds.
_FORGET = 900.0


@dataclass(slots=True)
class _Seen:
    """One attempt: when it was begun last, as which of its starts, and when that was seen first.

    `delivered`: that is when its message was delivered, which is not acknowledged. `carrier_id`: the step of a chain
    that is begun, where the part itself is yet to come.
    """

    attempt: int | None
    carrier_id: str | None
    delivered: bool
    since: float
    starts: int
    at: float


class Starts:
    """Remembers from look to look when tasks were delivered, or started, last.

    A worker that is shut down puts back what it has not begun, and one that loses its connection what waits for its
    time: neither is a start.
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def update(
        self, sightings: Iterable[Sighting], now: float, workers: Sequence[Worker] = ()
    ) -> Mapping[str, int]:
        """Return how often the same attempt was begun, by task id, for those that were seen begun twice or more."""
        for sighting in sightings:
            if sighting.chord.state in FINISHED or sighting.chord.instrumented:
                continue
            for task_id, place in sighting.places.items():
                begun = place.kind == "active" or (place.kind == "unacked" and place.eta is None)
                if begun and place.since is not None:
                    self._note(task_id, place, now, _last_restart(place, workers))
        self._seen = {id_: seen for id_, seen in self._seen.items() if now - seen.at < _FORGET}
        return {id_: seen.starts for id_, seen in self._seen.items() if seen.starts > 1}

    def _note(self, task_id: str, place: Place, now: float, restarted_at: float) -> None:
        seen, delivered_at = self._seen.get(task_id), _delivered_at(place)
        since, delivered = delivered_at or place.since or 0.0, delivered_at is not None
        if seen is None or (seen.attempt, seen.carrier_id) != (place.attempt, place.carrier_id):
            if seen or len(self._seen) < _MAX_KEPT:
                # What was put back before has begun before.
                starts = 2 if place.redelivered else 1
                self._seen[task_id] = _Seen(place.attempt, place.carrier_id, delivered, since, starts, now)
        elif since > seen.since + (0.0 if delivered else _SAME) and (
            delivered == seen.delivered or place.redelivered
        ):
            seen.starts += restarted_at < seen.since
            seen.since, seen.at = since, now


def _delivered_at(place: Place) -> float | None:
    """Return when the message was delivered that is not acknowledged: what it asks for may begin later, and once."""
    return place.since if place.kind == "unacked" else place.delivered_at


def _last_restart(place: Place, workers: Sequence[Worker]) -> float:
    """Return when the last of the workers was started that can have had the task."""
    can = (w for w in workers if place.name == w.hostname or place.name in w.queues)
    return max((worker.started_at or 0.0 for worker in can), default=0.0)
