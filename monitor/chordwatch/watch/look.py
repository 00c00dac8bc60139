"""One look at a Celery installation: its chords, where their tasks are, queues, workers, and what was not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chordwatch.errors import ServerName
from chordwatch.evidence.facts import Place, PlaceKind, Queue, Worker
from chordwatch.model import Chord


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A chord and where its uncounted tasks and its callback are now, by task id.

    `complete`: Celery's own evidence says that every part was counted. `nameless`: where the missing parts are whose
    ids nobody knows, nowhere or unknown. Only of a chord that was looked at alone: `carrier_id`, the first task whose
    message was recorded to carry the chord as a later step of its chain, and `trace_id`, the OpenTelemetry trace of its
    spans, None where none are exported.
    """

    chord: Chord
    places: Mapping[str, Place] = field(default_factory=dict)
    complete: bool = False
    nameless: PlaceKind = "unknown"
    carrier_id: str | None = None
    trace_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The chords that matched, oldest open first, then newest finished; and the state of queues and workers.

    `gaps` are sentences: what could not be read, and how many keys or messages were skipped and why.
    `partial` is True when the look ended on its time budget before everything was seen.
    `beyond` are open chords that the store has and that were not read, for being too many: by callback name how
    many, and when the oldest was opened (Unix seconds).
    `answered` are the servers that were asked. `oldest_queued`: since when (Unix seconds) the recorded message of a
    chord waits that has waited longest, by queue.
    """

    taken_at: float
    sightings: tuple[Sighting, ...] = ()
    queues: tuple[Queue, ...] = ()
    workers: tuple[Worker, ...] = ()
    gaps: tuple[str, ...] = ()
    partial: bool = False
    beyond: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    answered: frozenset[ServerName] = frozenset()
    oldest_queued: Mapping[str, float] = field(default_factory=dict)

    @property
    def chords(self) -> tuple[Chord, ...]:
        """The chords alone."""
        return tuple(sighting.chord for sighting in self.sightings)
