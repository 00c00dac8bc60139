"""What a look had no time to judge is as the look before found it, so that nothing seems well for want of time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from chordwatch.model import FINISHED, Chord, Health
from chordwatch.watch.look import Sighting

_WELL: frozenset[Health] = frozenset({"ok", "waiting", "done"})


class LastFound:
    """Remembers from look to look which open chords are not well, and why. Not thread-safe."""

    def __init__(self) -> None:
        self._troubled: dict[str, Chord] = {}

    def completed(self, sightings: Iterable[Sighting], *, partial: bool) -> tuple[Sighting, ...]:
        """Return the sightings of a look; in a `partial` one, chords that did not go on keep their last verdicts."""
        found = tuple(map(self._as_before, sightings)) if partial else tuple(sightings)
        chords = (sighting.chord for sighting in found)
        self._troubled = {
            chord.chord_id: replace(chord, header=(), missing=(), errbacks=())
            for chord in chords
            if chord.state not in FINISHED and chord.health not in _WELL
        }
        return found

    def _as_before(self, sighting: Sighting) -> Sighting:
        chord = sighting.chord
        last = self._troubled.get(chord.chord_id)
        if last is None or chord.verdicts or (last.state, last.counted) != (chord.state, chord.counted):
            return sighting
        return replace(sighting, chord=replace(chord, verdicts=last.verdicts, health=last.health))
