"""Looks at a Celery installation: what the store recorded, and what can be seen from outside, as one.

Nothing needs to be installed in the workers; those that are instrumented tell more.

Runs in any reading process (terminal, monitor, dashboard). Keeps connections, so it is not thread-safe.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from celery import Celery

from chordwatch.diagnosis import diagnose
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.facts import ChordEvidence
from chordwatch.model import FINISHED, HEALTHS, Chord, health_of
from chordwatch.settings import Settings, read_settings
from chordwatch.store import open_store
from chordwatch.store.protocol import RecordedChord, Store
from chordwatch.watch.assemble import assemble
from chordwatch.watch.gather import Gatherer, Round
from chordwatch.watch.look import Look, Sighting
from chordwatch.watch.lookup import find_chord_id
from chordwatch.watch.merge import merge
from chordwatch.watch.recorded import MAX_FINISHED, Recorded, RecordReader, StoreOpener, Totals
from chordwatch.watch.running import Liveness, stale_after, with_running

#: `--health` takes a health, `open` (not finished, whatever its health) or `all`.
HEALTH_FILTERS: tuple[str, ...] = (*HEALTHS, "open", "all")
DEFAULT_LIMIT = 50
#: Seconds. A store that is silent for longer is done without.
_STORE_ANSWERS = 3.0
#: Seconds. A broadcast makes every worker answer five questions.
ASK_WORKERS_EVERY = 60.0


class Watch:
    """Finds chords and says how they are. `connect` makes one; `close()` gives its connections back.

    One that is kept asks the workers again only after `ask_workers_every` seconds.
    Every method may raise `UnreachableError`: broker or result backend does not answer.
    """

    def __init__(
        self,
        app: Celery,
        settings: Settings | None = None,
        *,
        ask_workers_every: float = ASK_WORKERS_EVERY,
        opened: StoreOpener | None = None,
    ) -> None:
        """`opened` opens the store; by default the one that the settings name."""
        self.settings = settings or read_settings(app.conf)
        self._app = app
        self._gatherer = Gatherer(app, self.settings.look_seconds, ask_workers_every)
        self._records = RecordReader(opened or self._open_store)

    def close(self) -> None:
        """Give the connections back."""
        self._gatherer.close()
        self._records.close()

    def get(self, id: str) -> Chord | None:  # noqa: A002  # the contract's name
        """Return the chord with this group id, callback id or header task id; None when none is found."""
        sighting, _ = self.sight(id)
        return sighting.chord if sighting else None

    def sight(self, id: str) -> tuple[Sighting | None, tuple[str, ...]]:  # noqa: A002  # as in `get`
        """Return what `get` returns with the places of its tasks, and the sentences about what was not seen."""
        this = self._gatherer.begin()
        with _not_counted(this):
            recorded = self._records.chord(id, this.gaps)
        if recorded:
            chord_id = recorded.chord.chord_id
        else:
            chord_id = find_chord_id(id, self._gatherer.backend, this.survey, this.budget, this.gaps)
            recorded = self._records.chord(chord_id, this.gaps) if chord_id != id else None
        evidence = self._gatherer.one_chord(chord_id, this, recorded)
        if evidence is None:
            return None, this.gaps.lines()
        liveness = self._liveness(self._records.workers(this.gaps), this)
        return self._diagnosed(evidence, recorded, liveness, this), this.gaps.lines()

    def look(
        self, *, health: str = "all", callback: str | None = None, limit: int | None = DEFAULT_LIMIT
    ) -> Look:
        """Return one look at the installation, see `list`; with queues, workers, and what was not seen."""
        this = self._gatherer.begin(scan=True)
        finished = health in ("all", "done", "failed")
        # Behind a filter nobody knows how many must be read to find so many.
        wanted = MAX_FINISHED if limit is None or callback or health != "all" else min(limit, MAX_FINISHED)
        met = self._gatherer.met(this)
        with _not_counted(this):
            known = self._records.chords(met, wanted if finished else 0, this.gaps)
        sightings = self._sightings(known, this, finished=finished)
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
            beyond=known.beyond,
        )

    def totals(self) -> Totals:
        """Return what the store counted, and whether it answers."""
        return self._records.totals()

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

    def _open_store(self) -> Store:
        return open_store(self.settings, self._app, client_name="chordwatch:reader", timeout=_STORE_ANSWERS)

    def _sightings(self, known: Recorded, this: Round, *, finished: bool) -> tuple[Sighting, ...]:
        """Return all chords of a look: the recorded ones, with what is seen of them, and those only seen."""
        # Where anything is recorded, finished chords are; without, only their stored results are left.
        scan = finished and not known.chords
        met = self._gatherer.all_chords(this, finished=scan, recorded=known.chords)
        seen = {evidence.keys.chord_id: evidence for evidence in met}
        alone = [recorded for id_, recorded in known.chords.items() if id_ not in seen]
        liveness = self._liveness(known, this)
        return (
            *(self._diagnosed(each, known.chords.get(id_), liveness, this) for id_, each in seen.items()),
            *(self._diagnosed(None, recorded, liveness, this) for recorded in alone),
        )

    def _liveness(self, known: Recorded, this: Round) -> Liveness:
        return Liveness(
            consumers=this.survey.consumers,
            workers=known.workers,
            now=known.now,
            looked_at=this.taken_at,
            stale=stale_after(self.settings.heartbeat_interval),
        )

    def _diagnosed(
        self,
        evidence: ChordEvidence | None,
        recorded: RecordedChord | None,
        liveness: Liveness,
        this: Round,
    ) -> Sighting:
        sighting = merge(_seen(evidence, recorded), recorded)
        if recorded:
            sighting = with_running(sighting, liveness)
        verdicts = diagnose(sighting.chord, sighting.places, liveness.readers, this.taken_at)
        chord = replace(
            sighting.chord,
            verdicts=verdicts,
            health=health_of(sighting.chord.state, verdicts),
            namespace=self.settings.namespace,
        )
        return replace(sighting, chord=chord)


@contextmanager
def _not_counted(this: Round) -> Iterator[None]:
    """Give the look back the time that the store took: it is bounded by itself, and what it told is not looked for."""
    started = time.monotonic()
    yield
    this.budget.extend(time.monotonic() - started)


def _seen(evidence: ChordEvidence | None, recorded: RecordedChord | None) -> Sighting | None:
    """Return what the X-ray sees; nothing of a chord that is still ahead in a chain."""
    if evidence is None:
        return None
    planned = recorded is not None and recorded.chord.state == "planned"
    return None if planned and not (evidence.keys.exists or evidence.messages) else assemble(evidence)


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
