"""One look at a Celery installation: its chords, where their tasks are, queues, workers, and what was not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chordwatch.evidence.facts import Place, Queue, Worker
from chordwatch.model import Chord


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A chord and where its uncounted tasks and its callback are now, by task id.

    `complete`: Celery's own evidence says that every part was counted.
    """

    chord: Chord
    places: Mapping[str, Place] = field(default_factory=dict)
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The chords that matched, oldest open first, then newest finished; and the state of queues and workers.

    `gaps` are sentences: what could not be read, and how many keys or messages were skipped and why.
    `partial` is True when the look ended on its time budget before everything was seen.
    `beyond` are open chords that the store has and that were not read, for being too many: by callback name how
    many, and when the oldest was opened (Unix seconds).
    """

    taken_at: float
    sightings: tuple[Sighting, ...] = ()
    queues: tuple[Queue, ...] = ()
    workers: tuple[Worker, ...] = ()
    gaps: tuple[str, ...] = ()
    partial: bool = False
    beyond: Mapping[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def chords(self) -> tuple[Chord, ...]:
        """The chords alone."""
        return tuple(sighting.chord for sighting in self.sightings)
