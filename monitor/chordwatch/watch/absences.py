"""Which tasks two looks found nowhere: a message between broker and worker is in neither for a moment. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from chordwatch.model import FINISHED
from chordwatch.watch.look import Sighting

#: Two looks that agree are at least this far apart. Seconds.
APART = 0.9
#: Seconds until another look where that would decide.
SOON = 1.0
_MAX_KEPT = 200_000

#: When a task was first found nowhere, and how far it had come then.
_Seen = tuple[float, tuple[object, ...]]


class Absences:
    """Remembers from look to look which tasks were found nowhere, and what they had come to."""

    def __init__(self) -> None:
        self._first: dict[str, _Seen] = {}
        self._confirmed: dict[str, float] = {}
        #: Whether the last look found a task nowhere for the first time: another one soon would decide.
        self.undecided = False

    def update(self, sightings: Iterable[Sighting], now: float) -> Mapping[str, float]:
        """Return the tasks that this look and one before found nowhere, with the time (Unix seconds) of the first.

        A look that could not tell where a task is neither confirms nor forgets.
        """
        self.undecided = False
        for sighting in sightings:
            for task_id, kind, progress in _waited_for(sighting):
                known = self._first.get(task_id)
                if kind == "nowhere" and (known is None or known[1] != progress):
                    self._forget(task_id)
                    self.undecided = True
                    if len(self._first) < _MAX_KEPT:
                        self._first[task_id] = (now, progress)
                elif kind == "nowhere" and known and now - known[0] >= APART:
                    self._confirmed[task_id] = known[0]
                elif kind not in ("nowhere", "unknown"):
                    self._forget(task_id)
        return self._confirmed

    def keep(self, task_ids: set[str]) -> None:
        """Forget the tasks that are not among these: nobody waits for them any more."""
        for task_id in self._first.keys() - task_ids:
            self._forget(task_id)

    def _forget(self, task_id: str) -> None:
        self._first.pop(task_id, None)
        self._confirmed.pop(task_id, None)


def nameless(chord_id: str) -> str:
    """Return the name under which a chord's parts, or its callback, are remembered whose ids nobody knows."""
    return f"{chord_id} without id"


def _waited_for(sighting: Sighting) -> Iterator[tuple[str, str, tuple[object, ...]]]:
    """Yield the tasks that have a place, with its kind and how far they have come."""
    chord = sighting.chord
    if chord.state in FINISHED:
        return
    if any(gap.task_id is None for gap in chord.missing) or _lacks_callback(sighting):
        yield nameless(chord.chord_id), sighting.nameless, (chord.counted,)
    states = {task.task_id: (task.state, task.attempt, len(task.attempts)) for task in chord.header}
    for task_id, place in sighting.places.items():
        yield task_id, place.kind, states.get(task_id, (chord.callback.state, chord.callback.attempt))


def _lacks_callback(sighting: Sighting) -> bool:
    """Whether all parts are counted, and nobody knows the callback's id."""
    return sighting.complete and sighting.chord.callback.task_id is None
