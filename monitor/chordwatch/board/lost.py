"""Which tasks were lost with their worker, and until when that lived: their run is over, though nobody noted it."""

from __future__ import annotations

from dataclasses import dataclass

from chordwatch.model import Chord

_CAUSE = "worker_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A task whose worker is lost. Where that is certain, `until` (Unix seconds) is when the worker ended.

    That is its last heartbeat, or where another was started under its name, that moment at the latest.
    """

    certain: bool
    until: float | None = None

    @property
    def words(self) -> str:
        """What has become of the task."""
        return "lost with its worker" if self.certain else "perhaps lost with its worker"


def lost_of(chord: Chord) -> dict[str, Lost]:
    """Return by task id what the verdicts on a chord say to be lost with a worker."""
    # `since` of a verdict that is not certain may be the chord's last progress instead.
    return {
        task_id: Lost(certain=found.certain, until=found.since if found.certain else None)
        for found in chord.verdicts
        if found.cause == _CAUSE
        for task_id in found.tasks
    }
