"""Looks at a Celery installation from outside: nothing needs to be installed in its workers.

Runs in any reading process (terminal, monitor, dashboard). Keeps connections, so it is not thread-safe.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from celery import Celery

from chordwatch.diagnosis import diagnose
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.facts import ChordEvidence
from chordwatch.model import FINISHED, HEALTHS, Chord, health_of
from chordwatch.settings import Settings, read_settings
from chordwatch.watch.assemble import assemble
from chordwatch.watch.gather import Gatherer, Round
from chordwatch.watch.look import Look, Sighting
from chordwatch.watch.lookup import find_chord_id

#: `--health` takes a health, `open` (not finished, whatever its health) or `all`.
HEALTH_FILTERS: tuple[str, ...] = (*HEALTHS, "open", "all")
DEFAULT_LIMIT = 50
#: Seconds. A broadcast makes every worker answer five questions.
ASK_WORKERS_EVERY = 60.0


class Watch:
    """Finds chords and says how they are. `connect` makes one; `close()` gives its connections back.

    One that is kept asks the workers again only after `ask_workers_every` seconds.
    Every method may raise `UnreachableError`: broker or result backend does not answer.
    """

    def __init__(
        self, app: Celery, settings: Settings | None = None, *, ask_workers_every: float = ASK_WORKERS_EVERY
    ) -> None:
        self.settings = settings or read_settings(app.conf)
        self._gatherer = Gatherer(app, self.settings.look_seconds, ask_workers_every)

    def close(self) -> None:
        """Give the connections back."""
        self._gatherer.close()

    def get(self, id: str) -> Chord | None:  # noqa: A002  # the contract's name
        """Return the chord with this group id, callback id or header task id; None when none is found."""
        sighting, _ = self.sight(id)
        return sighting.chord if sighting else None

    def sight(self, id: str) -> tuple[Sighting | None, tuple[str, ...]]:  # noqa: A002  # as in `get`
        """Return what `get` returns with the places of its tasks, and the sentences about what was not seen."""
        this = self._gatherer.begin()
        chord_id = find_chord_id(id, self._gatherer.backend, this.survey, this.budget, this.gaps)
        evidence = self._gatherer.one_chord(chord_id, this)
        return (self._diagnosed(evidence, this) if evidence else None), this.gaps.lines()

    def look(
        self, *, health: str = "all", callback: str | None = None, limit: int | None = DEFAULT_LIMIT
    ) -> Look:
        """Return one look at the installation, see `list`; with queues, workers, and what was not seen."""
        this = self._gatherer.begin(scan=True)
        met = self._gatherer.all_chords(this, finished=health in ("all", "done", "failed"))
        sightings = [self._diagnosed(evidence, this) for evidence in met]
        chosen = sorted(
            (sighting for sighting in sightings if matches(sighting.chord, health, callback)),
            key=lambda sighting: _order(sighting.chord),
        )
        return Look(
            taken_at=this.taken_at,
            sightings=tuple(chosen[:limit]),
            queues=this.survey.queues,
            workers=this.survey.consumers.workers,
            gaps=this.gaps.lines(),
            partial=this.gaps.partial,
        )

    def results(self, chord_id: str) -> tuple[dict[str, Any], ...]:
        """Return the counted parts with their results, in header order: index, task_id, state, result."""
        budget = Budget(self.settings.look_seconds)
        return tuple(self._gatherer.backend.read_results(chord_id, budget, Gaps()))

    def result(self, task_id: str) -> object:
        """Return one task's stored result value, None when there is none."""
        return self._gatherer.backend.read_result(task_id, Gaps())

    def list(
        self, *, health: str = "all", callback: str | None = None, limit: int | None = DEFAULT_LIMIT
    ) -> list[Chord]:
        """Return chords, oldest open first, then newest finished. `limit` None means all of them."""
        return [
            sighting.chord for sighting in self.look(health=health, callback=callback, limit=limit).sightings
        ]

    def _diagnosed(self, evidence: ChordEvidence, this: Round) -> Sighting:
        sighting = assemble(evidence)
        verdicts = diagnose(sighting.chord, sighting.places, this.survey.consumers, this.taken_at)
        chord = replace(
            sighting.chord,
            verdicts=verdicts,
            health=health_of(sighting.chord.state, verdicts),
            namespace=self.settings.namespace,
        )
        return replace(sighting, chord=chord)


def matches(chord: Chord, health: str, callback: str | None) -> bool:
    """Whether `list` shows the chord under these filters."""
    if callback is not None and chord.callback.name != callback:
        return False
    if health == "open":
        return chord.state not in FINISHED
    return health in ("all", chord.health)


def _order(chord: Chord) -> tuple[bool, float]:
    """Sort oldest open first, those of unknown age last among them; then newest finished."""
    if chord.state in FINISHED:
        return True, -(chord.finished_at or 0.0)
    return False, chord.opened_at or chord.progressed_at or float("inf")
