"""Looks at a Celery installation: what the store recorded, and what can be seen from outside, as one.

Nothing needs to be installed in the workers; those that are instrumented tell more.

Runs in any reading process (terminal, monitor, dashboard). Keeps connections, so it is not thread-safe.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from celery import Celery

from chordwatch.errors import ServerName
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.limits import limits_of
from chordwatch.model import FINISHED, HEALTHS, Chord
from chordwatch.settings import Settings, read_settings
from chordwatch.store import open_store
from chordwatch.store.protocol import RecordedChord, Store
from chordwatch.text import plain
from chordwatch.watch.absences import SOON
from chordwatch.watch.cases import Cases
from chordwatch.watch.gather import Gatherer, Round
from chordwatch.watch.habits import Habits
from chordwatch.watch.inner import with_inner
from chordwatch.watch.judged import with_last_verdict
from chordwatch.watch.last_found import LastFound
from chordwatch.watch.look import Look, Sighting
from chordwatch.watch.lookup import find_chord_id
from chordwatch.watch.queued import oldest_queued
from chordwatch.watch.recorded import MAX_FINISHED, Recorded, RecordReader, StoreOpener, Totals
from chordwatch.watch.related import Related, related_to, with_judgement
from chordwatch.watch.running import Liveness, stale_after

#: `--health` takes a health, `open` (not finished, whatever its health) or `all`.
HEALTH_FILTERS: tuple[str, ...] = (*HEALTHS, "open", "all")
DEFAULT_LIMIT = 50
#: Seconds. A store that is silent for longer is done without.
_STORE_ANSWERS = 3.0
#: Seconds. A broadcast makes every worker answer five questions.
ASK_WORKERS_EVERY = 60.0
#: Seconds until `explain` looks for a third time where two looks did not suffice: each worker has beaten by then.
RECONSIDERED_AFTER = 4.0
#: One chord alone is judged with the habits and the relations of so many others.
MAX_OTHERS = 500

_Looked = TypeVar("_Looked")


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
        stale = stale_after(self.settings.heartbeat_interval)
        self._records = RecordReader(opened or self._open_store, stale)
        self._cases = Cases(self._gatherer, limits_of(app), self.settings.overdue_floor)
        self._habits = Habits()
        self._last_found = LastFound()
        self._asks_again = True
        self._asked_at = 0.0

    def close(self) -> None:
        """Give the connections back."""
        self._gatherer.close()
        self._records.close()

    @property
    def store_away(self) -> bool:
        """Whether the store did not answer last: nothing that was recorded is in what was seen."""
        return self._records.away

    def get(self, id: str) -> Chord | None:  # noqa: A002  # the contract's name
        """Return the chord with this group id, callback id or header task id; None when none is found.

        Takes a second longer where one look does not decide how it is.
        """
        sighting, _ = self.decided(id)
        return sighting.chord if sighting else None

    def sight(self, id: str) -> tuple[Sighting | None, tuple[str, ...]]:  # noqa: A002  # as in `get`
        """Return what `get` returns with the places of its tasks, and the sentences about what was not seen."""
        this = self._gatherer.begin()
        with this.budget.paused():
            recorded = self._records.chord(id, this.gaps)
        if recorded:
            chord_id = recorded.chord.chord_id
        else:
            chord_id = find_chord_id(id, self._gatherer.backend, this.survey, this.budget, this.gaps)
            recorded = self._records.chord(chord_id, this.gaps) if chord_id != id else None
        evidence = self._gatherer.one_chord(chord_id, this, recorded)
        if evidence is None:
            return self._remembered(chord_id, None, this), this.gaps.lines()
        with this.budget.paused():
            liveness = self._liveness(self._records.workers(this.gaps), this)
            others = self._others(recorded, this)
        met = with_inner(
            (evidence, recorded),
            others,
            this.survey,
            lambda inner, known: self._gatherer.one_chord(inner, this, known),
        )
        sighting = self._cases.judged(met, liveness, this, usual=self._habits.usual(), others=others)[0]
        if recorded:
            trace = recorded.trace
            traced = trace.trace_id if trace and trace.sampled else None
            sighting = replace(sighting, carrier_id=recorded.carrier_id, trace_id=traced)
        return self._remembered(chord_id, self._named(sighting), this), this.gaps.lines()

    def decided(self, id: str) -> tuple[Sighting | None, tuple[str, ...]]:  # noqa: A002  # as in `get`
        """Return what `sight` returns, of a second look where one does not decide: a task may be on its way."""
        seen = self.sight(id)
        return self.sight_again(id) if self._cases.unsettled else seen

    def sight_again(self, id: str) -> tuple[Sighting | None, tuple[str, ...]]:  # noqa: A002  # as in `get`
        """Return what `sight` returns a second later, which decides what the look before did not."""
        return self._again(lambda: self.sight(id))

    def explain(self, id: str) -> Chord | None:  # noqa: A002  # as in `get`
        """Return the chord with a fresh diagnosis from two looks at the ground truth, or three."""
        sighting, _ = self.explained(id)
        return sighting.chord if sighting else None

    def explained(self, id: str) -> tuple[Sighting | None, tuple[str, ...]]:  # noqa: A002  # as in `get`
        """Return what `explain` returns with the places of its tasks, and the sentences about what was not seen."""
        first, lines = self._freshly(lambda: self.sight(id))
        if first is None or first.chord.state in FINISHED:
            return first, lines
        return self._reconsidered(
            lambda: self.sight(first.chord.chord_id),
            lambda seen: seen[0] is not None and _is_puzzling(seen[0]),
        )

    def related(self, sighting: Sighting) -> tuple[Related, ...]:
        """Return the recorded chords that belong to one: around it, inside it, before and after it in its chain.

        They are looked for among the open ones without progress for longest, the newest finished ones, and by the ids
        of the tasks that sent the chord.
        """
        if not sighting.chord.instrumented:
            return ()
        chord, gaps = sighting.chord, Gaps()
        found = dict(self._records.chords((), MAX_OTHERS, gaps, limit=MAX_OTHERS).chords)
        # A task that was sent from outside any task is its own root.
        own = {task.task_id for task in chord.header}
        for task_id in filter(None, {chord.parent_id, chord.root_id} - own):
            if sender := self._records.chord(task_id, gaps):
                found.setdefault(sender.chord.chord_id, sender)
        related = related_to(sighting, found.values())
        judged = self._records.judgements([each.chord.chord_id for each in related], gaps)
        return tuple(with_judgement(each, judged.get(each.chord.chord_id)) for each in related)

    def explain_open(self, limit: int | None = DEFAULT_LIMIT) -> Look:
        """Return the open chords, oldest first, each with a fresh diagnosis, as in `explain`."""
        self._freshly(lambda: self.look(health="open", limit=limit))
        return self._reconsidered(
            lambda: self.look(health="open", limit=limit), lambda seen: any(map(_is_puzzling, seen.sightings))
        )

    def look(
        self, *, health: str = "all", callback: str | None = None, limit: int | None = DEFAULT_LIMIT
    ) -> Look:
        """Return one look at the installation, see `list`; with queues, workers, and what was not seen."""

        def look() -> Look:
            return self._look(health, callback, limit)

        # Who has just begun to look is not to wait for the next round of questions, where answers decide.
        if self._asks_again and self.undecided and not self._cases.instrumented_only:
            self._asks_again = False
            return self._freshly(look)
        seen = look()
        # What the workers answered while their heartbeats told the rest says too little without those.
        stale = 0.0 < self._asked_at < (self._records.lost_at or 0.0)
        return self._freshly(look) if stale else seen

    def _look(self, health: str, callback: str | None, limit: int | None) -> Look:
        this = self._gatherer.begin(scan=True, ask=self._cases.asks)
        self._asked_at = this.survey.consumers.asked_at or 0.0
        finished = health in ("all", "done", "failed")
        # Behind a filter nobody knows how many must be read to find so many.
        wanted = MAX_FINISHED if limit is None or callback or health != "all" else min(limit, MAX_FINISHED)
        met = self._gatherer.met(this)
        with this.budget.paused():
            known = self._records.chords(met, wanted if finished else 0, this.gaps)
        sightings = self._sightings(known, this, finished=finished)
        chosen = sorted(
            (sighting for sighting in sightings if matches(sighting.chord, health, callback)),
            key=lambda sighting: _order(sighting.chord),
        )
        return Look(
            taken_at=this.taken_at,
            sightings=tuple(chosen[:limit]),
            queues=self._liveness(known, this).with_readers(this.survey.queues),
            workers=this.survey.consumers.workers,
            gaps=this.gaps.lines(),
            partial=this.gaps.partial,
            beyond=known.beyond,
            answered=self._answered(this),
            oldest_queued=oldest_queued(sightings, this.taken_at),
        )

    def decided_look(self, *, health: str, callback: str | None = None, limit: int | None) -> Look:
        """Return what `look` returns, of a second look where one does not decide, as in `decided`."""

        def look() -> Look:
            return self.look(health=health, callback=callback, limit=limit)

        seen = look()
        return self._again(look) if self._cases.unsettled else seen

    @property
    def undecided(self) -> bool:
        """Whether the last look found a task nowhere for the first time: another one, a second later, would decide."""
        return self._cases.undecided

    def totals(self) -> Totals | None:
        """Return what the store counted, and whether it answers; None where there is none."""
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
        """Return chords, oldest open first, then newest finished. `limit` None means all of them.

        Takes a second longer where one look does not decide how they are.

        Raises:
            ValueError: `health` is none of `HEALTH_FILTERS`.
        """
        if health not in HEALTH_FILTERS:
            raise ValueError(
                f"There is no health {plain(repr(health))}; use one of {', '.join(HEALTH_FILTERS)}."
            )
        return list(self.decided_look(health=health, callback=callback, limit=limit).chords)

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
        self._habits.learn(known.chords.values())
        chords = [
            *((each, known.chords.get(id_)) for id_, each in seen.items()),
            *((None, recorded) for recorded in alone),
        ]
        sightings = self._cases.judged(chords, liveness, this, usual=self._habits.usual())
        self._cases.forget_all_but(sightings)
        named = (self._named(sighting) for sighting in sightings)
        return self._last_found.completed(named, partial=this.gaps.partial)

    def _answered(self, this: Round) -> frozenset[ServerName]:
        """Return the servers that this look asked, which is over and so had answers."""
        asked: dict[ServerName, bool] = {
            "broker": not this.survey.consumers.inferred,
            "result backend": self._gatherer.backend.pinged,
        }
        return frozenset(server for server, was_asked in asked.items() if was_asked)

    def _liveness(self, known: Recorded, this: Round) -> Liveness:
        return Liveness(
            consumers=this.survey.consumers,
            workers=known.workers,
            connections=known.connections,
            now=known.now,
            looked_at=this.taken_at,
            stale=stale_after(self.settings.heartbeat_interval),
            queues_read=this.survey.queues_read,
            opaque=this.survey.opaque,
        )

    def _others(self, recorded: RecordedChord | None, this: Round) -> Sequence[RecordedChord]:
        """Return the chords that one chord may wait for, and what its tasks' habits are learnt from."""
        if recorded is None or recorded.chord.state in FINISHED:
            return ()
        known = self._records.chords((), MAX_OTHERS, this.gaps, limit=MAX_OTHERS)
        self._habits.learn(known.chords.values())
        return tuple(known.chords.values())

    def _again(self, look: Callable[[], _Looked]) -> _Looked:
        """Take a look so much later than the one before that what both find nowhere is nowhere."""
        time.sleep(SOON)
        return self._freshly(look)

    def _reconsidered(self, look: Callable[[], _Looked], puzzling: Callable[[_Looked], bool]) -> _Looked:
        """Take a fresh look, and where that is puzzling another one, some seconds later."""
        seen = self._freshly(look)
        if puzzling(seen):
            time.sleep(RECONSIDERED_AFTER)
            seen = self._freshly(look)
        return seen

    def _freshly(self, look: Callable[[], _Looked]) -> _Looked:
        """Take a look for which the workers are asked whenever they were asked before."""
        with self._gatherer.asking():
            return look()

    def _remembered(self, chord_id: str, sighting: Sighting | None, this: Round) -> Sighting | None:
        """Return the chord with what a monitor found last, where nothing is left that names a cause."""
        if sighting and sighting.chord.verdicts:
            return sighting
        return with_last_verdict(sighting, self._records.judgements([chord_id], this.gaps).get(chord_id))

    def _named(self, sighting: Sighting) -> Sighting:
        return replace(sighting, chord=replace(sighting.chord, namespace=self.settings.namespace))


def matches(chord: Chord, health: str, callback: str | None) -> bool:
    """Whether `list` shows the chord under these filters."""
    if callback is not None and chord.callback.name != callback:
        return False
    if health == "open":
        return chord.state not in FINISHED
    return health in ("all", chord.health)


def _is_puzzling(sighting: Sighting) -> bool:
    """Whether a task is nowhere and no verdict says why: a record of it may be on its way."""
    return sighting.chord.health == "ok" and any(p.kind == "nowhere" for p in sighting.places.values())


def _order(chord: Chord) -> tuple[bool, float]:
    """Sort oldest open first, those of unknown age last among them; then newest finished."""
    if chord.state in FINISHED:
        return True, -(chord.finished_at or 0.0)
    return False, chord.opened_at or chord.progressed_at or float("inf")
