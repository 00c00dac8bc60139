"""Chords that were read before: a monitor reads thousands at each look, of which few have changed. Readers only."""

from __future__ import annotations

from collections.abc import Mapping

from chordwatch.store.protocol import RecordedChord
from chordwatch.store.rows import StoredChord

#: As many as one look reads. A chord of 20 tasks takes some 10 kB.
MAX_KEPT = 10_000
#: Larger headers are not kept.
_MAX_HEADER = 1000

_Stored = tuple[StoredChord, Mapping[bytes, bytes]]


class KeptChords:
    """The chords read last, each with what Redis held of it then. Bounded; the one read longest ago goes first."""

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[_Stored, RecordedChord]] = {}

    def get(self, stored: StoredChord, detail: Mapping[bytes, bytes]) -> RecordedChord | None:
        """Return the chord as it was read before, None where Redis holds something else now."""
        known, recorded = self._kept.get(stored.packed_id, (None, None))
        return recorded if known == (stored, detail) else None

    def keep(self, stored: StoredChord, detail: Mapping[bytes, bytes], recorded: RecordedChord) -> None:
        """Remember a chord that was read in full."""
        self._kept.pop(stored.packed_id, None)
        if len(recorded.chord.header) <= _MAX_HEADER:
            self._kept[stored.packed_id] = (stored, detail), recorded
        while len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]
