"""How long a look may take, how much at once, and what it left out. Used by every reader."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time of this block, in which neither broker nor backend is read."""
        started = time.monotonic()
        yield
        self.extend(time.monotonic() - started)

    def extend(self, seconds: float) -> None:
        """Give back time that was spent waiting for others."""
        self._ends += seconds

    def share(self, part: float) -> Budget:
        """Return a budget of its own over `part` (0 to 1) of what is left."""
        return Budget(self.left() * part)


class Gaps:
    """What a look could not see: sentences for people, counts of what was skipped, and whether it was cut short.

    `unread` are the group ids of chords that the backend was not asked for: nothing can be said of their keys.
    """

    def __init__(self) -> None:
        self.partial = False
        self.unread: set[str] = set()
        self._notes: dict[str, None] = {}
        self._skipped: Counter[str] = Counter()

    def note(self, sentence: str, *, partial: bool = False) -> None:
        """Say once that something was not seen; `partial` when for want of time, or of the right to see it."""
        self._notes[sentence] = None
        self.partial = self.partial or partial

    def leave_out(self, chord_ids: Sequence[str], known: int) -> None:
        """Say that time ran out before these chords were read, `known` of all were."""
        self.unread.update(chord_ids)
        self.note(f"Time ran out after {known:,} of {known + len(chord_ids):,} chords.", partial=True)

    def skip(self, what: str) -> None:
        """Count one thing that was passed over, e.g. `pickled result`."""
        self._skipped[what] += 1

    def add(self, others: Gaps) -> None:
        """Take over what another part of the look could not see."""
        self.partial = self.partial or others.partial
        self.unread |= others.unread
        self._notes |= others._notes
        self._skipped += others._skipped

    def lines(self) -> tuple[str, ...]:
        """Return the sentences, the counts last."""
        counts = (f"Skipped {number:,} × {what}." for what, number in sorted(self._skipped.items()))
        return (*self._notes, *counts)
