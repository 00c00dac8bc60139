"""How long a look may take, how much at once, and what it left out. Used by every reader."""

from __future__ import annotations

import time
from collections import Counter

#: How much one command may fetch. Redis copies 1 MB in well under a millisecond.
CHUNK_BYTES = 1024 * 1024


def chunk_length(total: int, size: int | None, most: int) -> int:
    """Return how many of `total` entries, which take `size` bytes (None: not told), one command may fetch."""
    average = (size or 0) // max(total, 1)
    return max(1, min(most, CHUNK_BYTES // max(average, 1)))


class Budget:
    """A number of seconds, counted from its making."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left, never below 0."""
        return max(0.0, self._ends - time.monotonic())

    @property
    def spent(self) -> bool:
        """Whether the time is over."""
        return self.left() == 0.0

    def extend(self, seconds: float) -> None:
        """Give back time that was spent waiting for others."""
        self._ends += seconds

    def share(self, part: float) -> Budget:
        """Return a budget of its own over `part` (0 to 1) of what is left."""
        return Budget(self.left() * part)


class Gaps:
    """What a look could not see: sentences for people, counts of what was skipped, and whether time ran out."""

    def __init__(self) -> None:
        self.partial = False
        self._notes: dict[str, None] = {}
        self._skipped: Counter[str] = Counter()

    def note(self, sentence: str, *, partial: bool = False) -> None:
        """Say once that something was not seen; `partial` when for want of time."""
        self._notes[sentence] = None
        self.partial = self.partial or partial

    def skip(self, what: str) -> None:
        """Count one thing that was passed over, e.g. `pickled result`."""
        self._skipped[what] += 1

    def lines(self) -> tuple[str, ...]:
        """Return the sentences, the counts last."""
        counts = (f"Skipped {number:,} × {what}." for what, number in sorted(self._skipped.items()))
        return (*self._notes, *counts)
