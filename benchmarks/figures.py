"""What a benchmark found: figures with their spread, ratios against a control, and what is to be reached."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

#: How far a busy shared machine may push a figure beyond what is to be reached before `--check` says no.
NOISE = 1.6
#: Counts and bytes do not depend on how busy the machine is.
EXACT = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of several rounds with the quartiles, or another range where the benchmark says so."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the median and the quartiles of at least one value."""
        known = sorted(values)
        if len(known) == 1:
            return cls(median=known[0], low=known[0], high=known[0])
        low, median, high = statistics.quantiles(known, n=4, method="inclusive")
        return cls(median=median, low=low, high=high)

    @classmethod
    def range(cls, values: Sequence[float]) -> Spread:
        """Return the median with the smallest and the largest value."""
        return cls(median=statistics.median(values), low=min(values), high=max(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table.

    `ratio` is against `control`, which was measured in the same run. `target` and `stretch` are in `unit`, less
    is better; None where nothing is to be reached. `noise` is the factor that a busy machine excuses.
    """

    group: str
    what: str
    variant: str
    unit: str
    spread: Spread
    ratio: Spread | None = None
    control: str = ""
    target: float | None = None
    stretch: float | None = None
    noise: float = NOISE

    @property
    def missed(self) -> bool:
        """Whether the figure is beyond its target by more than noise explains."""
        return self.target is not None and self.spread.median > self.target * self.noise

    def as_json(self) -> dict[str, object]:
        """Return the figure as it stands in the JSON file."""
        return asdict(self)


def ratio(measured: Sequence[float], control: Sequence[float]) -> Spread:
    """Return each round's ratio to that round's control."""
    return Spread.of(m / c for m, c in zip(measured, control, strict=True))
