"""Which names the in-memory twin counts under, as `lua/counts.lua` decides it: those that it met first.

The sets are kept, so a name that was counted once is counted under itself for good, whoever asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: So many callbacks are label values, and so many pairs of a callback and a task; the rest is `other`.
MAX_CALLBACKS, MAX_PAIRS = 200, 1000
UNKNOWN, OTHER = "unknown", "other"


@dataclass(slots=True)
class Labels:
    """The names that are label values. `capped` are the labels for which some name of the current write was `other`."""

    callbacks: set[str] = field(default_factory=set)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    capped: set[str] = field(default_factory=set)

    def callback(self, name: str | None) -> str:
        """Return what a callback is counted under, None where its name is not known."""
        if name is None:
            return UNKNOWN
        if name not in self.callbacks and len(self.callbacks) >= MAX_CALLBACKS:
            self.capped.add("callback")
            return OTHER
        self.callbacks.add(name)
        return name

    def task(self, callback: str, name: str | None) -> str:
        """Return what a task of the chords that are counted under `callback` is counted under."""
        if name is None:
            return UNKNOWN
        pair = callback, name
        if pair not in self.pairs and len(self.pairs) >= MAX_PAIRS:
            self.capped.add("name")
            return OTHER
        self.pairs.add(pair)
        return name

    def shown(self, name: str | None) -> str:
        """Return what a callback was counted under; asking changes nothing."""
        if name is None:
            return UNKNOWN
        return name if name in self.callbacks else OTHER
