"""The scenarios being played: each started once, followed by its chord, and compared with what was expected.

Knows nothing of terminals and processes. Started in the main thread, watched from another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chordwatch.model import Chord
from tasks.launch import Started
from tasks.scenarios import Scenario

NO_CHORD = "none"
#: What is to stay as it is from the start, so that it shows only with time.
LASTING = frozenset({NO_CHORD, "planned"})
#: Scenarios share the workers, so each may take longer than it does alone.
PATIENCE = 2.0


@dataclass(slots=True, kw_only=True)
class Play:
    """One scenario: what was published, what has become of it, or why it could not be started."""

    scenario: Scenario
    started: Started | None = None
    started_at: float | None = None
    chord: Chord | None = None
    error: str | None = None

    def start(self) -> None:
        """Start the scenario; what goes wrong is kept, so that the others still play."""
        try:
            self.started = self.scenario.start()
        except Exception as error:  # noqa: BLE001  # whatever it is, the demo has to say it and go on
            self.error = f"could not be started: {type(error).__name__}: {error}"
        self.started_at = time.monotonic()

    @property
    def chord_id(self) -> str | None:
        """The chord to look for, where one is to be."""
        return (
            self.started.chord_id if self.started is not None and self.scenario.expected != NO_CHORD else None
        )

    @property
    def health(self) -> str | None:
        """The chord's health, `none` where there is none."""
        return NO_CHORD if self.chord is None else self.chord.health

    @property
    def state(self) -> str | None:
        """The chord's state, `none` where there is none."""
        return NO_CHORD if self.chord is None else self.chord.state

    def as_expected(self) -> bool:
        """Whether it has come to what was expected. That no chord appears, or that none begins, shows with time."""
        expected = self.scenario.expected
        if self.error is not None or self.started_at is None:
            return False
        if expected in LASTING and time.monotonic() < self.started_at + self.scenario.seconds:
            return False
        return expected in (self.health, self.state)

    def follow(self, chords: Mapping[str, Chord], get: Callable[[str], Chord | None]) -> None:
        """Take the chord's latest form from a list of them, or ask for it."""
        if self.started is None:
            return
        known = self.started.chord_id or self.started.result_id
        self.chord = chords.get(known) or get(known) or self.chord

    def complaint(self) -> str:
        """Return the sentence that says what was not as expected."""
        if self.error is not None:
            return f"{self.scenario.name} {self.error}."
        seen = (
            "no chord" if self.chord is None else f"chord {self.chord.chord_id} {self.state}, {self.health}"
        )
        return f"{self.scenario.name} was to come to {self.scenario.expected!r} and is: {seen}."

    def summary(self) -> dict[str, Any]:
        """Return what the summary says of it."""
        return {
            "chord_id": None if self.chord is None else self.chord.chord_id,
            "expected": self.scenario.expected,
            "health": self.health,
            "state": self.state,
        }


def plays_of(scenarios: Iterable[Scenario]) -> list[Play]:
    """Return the plays in the order of their start: the longest first, faults (with processes) last."""
    ordered = sorted(scenarios, key=lambda scenario: (scenario.is_fault, -scenario.seconds))
    return [Play(scenario=scenario) for scenario in ordered]


def patience_seconds(plays: Iterable[Play]) -> float:
    """Return how long the tour may take until it is over whatever has happened."""
    return 30.0 + PATIENCE * max((play.scenario.seconds for play in plays), default=0.0)
