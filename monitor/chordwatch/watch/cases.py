"""From what one look saw to verdicts: which tasks two looks found nowhere, what their results say, what else bears.

Runs in a reading process; one `Cases` is kept per `Watch`, because it remembers from look to look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from chordwatch.diagnosis import Case, diagnose
from chordwatch.evidence.facts import ChordEvidence, Limits, Message, Place, PlaceKind, TaskMeta, WorkerPlace
from chordwatch.model import FINISHED, Callback, Chord, HeaderTask, health_of
from chordwatch.store.protocol import RecordedChord
from chordwatch.watch import family
from chordwatch.watch.absences import Absences, nameless
from chordwatch.watch.assemble import assemble, place_of
from chordwatch.watch.deliveries import NAMED, Deliveries
from chordwatch.watch.gather import Gatherer, Round
from chordwatch.watch.inner import inner_first
from chordwatch.watch.look import Sighting
from chordwatch.watch.merge import merge
from chordwatch.watch.running import Liveness, with_running
from chordwatch.watch.starts import Starts
from chordwatch.watch.unsent import carrying_nothing, polled_and_carrying_nothing, without_unsent

#: So many planned chords are asked in one look why they are still ahead, and so many steps of each chain followed.
_MAX_PLANNED, _MAX_STEPS = 200, 50
_NOT_LOCATED: frozenset[PlaceKind] = frozenset({"nowhere", "unknown"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One chord as one look met it: by the X-ray, by its record, or by both."""

    evidence: ChordEvidence | None
    recorded: RecordedChord | None
    sighting: Sighting


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bearings:
    """What one look knows that bears on every chord of it; `ends` are chords by the id of their callback.

    `strays` are failed results without a group; `children`, `rate_limits`, `starts_seen` and `deliveries_seen` are
    those of `Case`.
    """

    this: Round
    liveness: Liveness
    nowhere: Mapping[str, float]
    usual: Mapping[str, float]
    ends: Mapping[str, Chord]
    strays: tuple[TaskMeta, ...]
    children: Mapping[str, tuple[Message, ...]]
    rate_limits: Mapping[str, str] | None
    starts_seen: Mapping[str, int]
    deliveries_seen: Mapping[str, float]


class Cases:
    """Judges the chords of one installation, look after look. Not thread-safe."""

    def __init__(self, gatherer: Gatherer, limits: Limits, overdue_floor: float) -> None:
        self._gatherer = gatherer
        self._limits = limits
        self._overdue_floor = overdue_floor
        self._absences = Absences()
        self._starts = Starts()
        self._deliveries = Deliveries()
        #: Whether there is something to ask the workers: a task that was not located, a queue that nobody beats for.
        self.asks = True
        #: Whether in the last look every worker was one that beats: their heartbeats decide, without a question.
        self.instrumented_only = False

    @property
    def undecided(self) -> bool:
        """Whether another look soon would decide whether a task is nowhere."""
        return self._absences.undecided

    @property
    def unsettled(self) -> bool:
        """Whether another look for which the workers are asked would tell more: also of a message nobody names."""
        return self._absences.undecided or self._deliveries.undecided

    def judged(
        self,
        met: Sequence[tuple[ChordEvidence | None, RecordedChord | None]],
        liveness: Liveness,
        this: Round,
        *,
        usual: Mapping[str, float],
        others: Sequence[RecordedChord] = (),
    ) -> list[Sighting]:
        """Return the chords with their verdicts. `others` are recorded chords that may be inside or around them."""
        with this.budget.paused():
            seen = [
                Seen(
                    evidence=evidence,
                    recorded=recorded,
                    sighting=_sighted(evidence, recorded, liveness, this),
                )
                for evidence, recorded in met
            ]
        seen = self._with_results(seen, liveness, this)
        seen = _without_unsent(seen, others, liveness, this)
        nowhere = self._absences.update([each.sighting for each in seen], this.taken_at)
        self.instrumented_only = liveness.instrumented_only
        self.asks = (
            any(_has_questions(each.sighting, liveness) for each in seen) or not liveness.instrumented_only
        )
        ends = {
            chord.callback.task_id: chord
            for chord in (*(each.sighting.chord for each in seen), *(other.chord for other in others))
            if chord.callback.task_id and chord.state != "succeeded"
        }
        sightings = [each.sighting for each in seen]
        bearings = _Bearings(
            this=this,
            liveness=liveness,
            nowhere=nowhere,
            usual=usual,
            ends=ends,
            strays=self._gatherer.strays(),
            children=this.survey.children(),
            rate_limits=self._gatherer.rate_limits(this) if _may_be_limited(seen, this) else None,
            starts_seen=self._starts.update(sightings, this.taken_at, liveness.consumers.workers),
            deliveries_seen=self._deliveries.update(
                sightings, max(this.taken_at, liveness.consumers.asked_at or 0.0)
            ),
        )
        failed = self._upstream_of(seen, this)
        judged: dict[str, Sighting] = {}
        for each in inner_first(seen):
            chord_id, ends_with = each.sighting.chord.chord_id, each.sighting.chord.callback.task_id
            judged[chord_id] = _with_verdicts(each.sighting, self._case(each, bearings, failed.get(chord_id)))
            if ends_with in ends:
                ends[ends_with] = judged[chord_id].chord
        return [judged[each.sighting.chord.chord_id] for each in seen]

    def forget_all_but(self, sightings: Sequence[Sighting]) -> None:
        """Remember only what is still waited for, after a look at all chords."""
        tasks = {task_id for sighting in sightings for task_id in sighting.places}
        self._absences.keep(tasks | {nameless(sighting.chord.chord_id) for sighting in sightings})

    def _with_results(self, seen: list[Seen], liveness: Liveness, this: Round) -> list[Seen]:
        """Read the stored results of tasks that were not located, and see those chords anew."""
        wanted = {
            at: ids for at, each in enumerate(seen) if each.evidence and (ids := set(_not_located(each)))
        }
        oldest = sorted(wanted, key=lambda at: seen[at].sighting.chord.progressed_at or 0.0)
        metas = self._gatherer.results([id_ for at in oldest for id_ in wanted[at]], this)
        for at, task_ids in wanted.items():
            each, found = seen[at], {id_: metas[id_] for id_ in task_ids & metas.keys()}
            if found and each.evidence:
                evidence = replace(each.evidence, metas={**found, **each.evidence.metas})
                sighting = _sighted(evidence, each.recorded, liveness, this)
                seen[at] = replace(each, evidence=evidence, sighting=sighting)
        return seen

    def _case(self, each: Seen, bearings: _Bearings, upstream: HeaderTask | None) -> Case:
        chord, evidence = each.sighting.chord, each.evidence
        this, liveness, nowhere = bearings.this, bearings.liveness, bearings.nowhere
        metas = evidence.metas if evidence else {}
        return Case(
            chord=chord,
            places=each.sighting.places,
            consumers=liveness.readers,
            now=this.taken_at,
            nowhere_since={id_: nowhere[id_] for id_ in each.sighting.places if id_ in nowhere},
            nameless_since=nowhere.get(nameless(chord.chord_id)),
            keys=evidence.keys if evidence else None,
            metas={**metas, **{meta.task_id: meta for meta in (evidence.callback_metas if evidence else ())}},
            recorded=each.recorded,
            lives=liveness.lives,
            instrumented_only=liveness.instrumented_only,
            broker=this.broker,
            backend=this.backend,
            limits=self._limits,
            usual=bearings.usual,
            overdue_floor=self._overdue_floor,
            related=dict(self._related(chord, metas, bearings)),
            upstream=upstream,
            children=bearings.children,
            rate_limits=bearings.rate_limits,
            starts_seen=bearings.starts_seen,
            deliveries_seen=bearings.deliveries_seen,
            strays=bearings.strays,
            strangers=_strangers(chord, this),
            blind=this.gaps.lines(),
        )

    def _related(
        self, chord: Chord, metas: Mapping[str, TaskMeta], bearings: _Bearings
    ) -> Iterator[tuple[str, Chord]]:
        """Yield the chords that end with one of this chord's parts, by that part's id."""
        if chord.state in FINISHED:
            return
        for gap in chord.missing:
            other, meta = bearings.ends.get(gap.task_id or ""), metas.get(gap.task_id or "")
            if other is not None and gap.task_id and other.chord_id != chord.chord_id:
                yield gap.task_id, other
            elif meta and (culprit := family.quoted_id(meta)):
                found = self._gatherer.backend.read_metas([culprit], bearings.this.gaps).get(culprit)
                if found and found.group_id:
                    yield meta.task_id, _failed_chord(found, meta)

    def _upstream_of(self, seen: list[Seen], this: Round) -> dict[str, HeaderTask]:
        """Return the failed step before each planned chord, by chord id."""
        planned = [each for each in seen if each.sighting.chord.state == "planned"]
        steps = {
            each.sighting.chord.chord_id: self._upstream(each.recorded, this)
            for each in planned[:_MAX_PLANNED]
        }
        return {chord_id: step for chord_id, step in steps.items() if step}

    def _upstream(self, recorded: RecordedChord | None, this: Round) -> HeaderTask | None:
        """Return the step of its chain that failed before a planned chord: nothing will ever send that."""
        task_id = recorded.carrier_id if recorded else None
        for _ in range(_MAX_STEPS):
            if task_id is None or this.budget.spent:
                return None
            meta = self._gatherer.backend.read_metas([task_id], this.gaps).get(task_id)
            if meta is None:
                return None
            if meta.state in ("failed", "revoked"):
                return HeaderTask(
                    index=None,
                    task_id=task_id,
                    name=meta.name,
                    state=meta.state,
                    worker=meta.worker,
                    finished_at=meta.finished_at,
                    error=meta.error,
                )
            task_id = meta.children[-1] if meta.state == "succeeded" and meta.children else None
        return None


def _sighted(
    evidence: ChordEvidence | None, recorded: RecordedChord | None, liveness: Liveness, this: Round
) -> Sighting:
    sighting = merge(_seen(evidence, recorded), recorded)
    if recorded:
        sighting = with_running(_with_step(sighting, evidence, recorded), liveness, recorded.step_id)
    return replace(sighting, nameless=_nameless(sighting, this))


def _without_unsent(
    seen: list[Seen], others: Sequence[RecordedChord], liveness: Liveness, this: Round
) -> list[Seen]:
    """See no part nowhere that a running task may still send."""
    carriers, all_told = this.survey.carriers, this.survey.everywhere and liveness.all_answered
    missed = any(place.kind == "nowhere" for each in seen for place in each.sighting.places.values())
    if carriers and missed:
        known = [(each.sighting.chord, each.evidence, each.recorded) for each in seen]
        carriers -= carrying_nothing([*known, *((other.chord, None, other) for other in others)])
        carriers -= polled_and_carrying_nothing(this.survey.unlocks.values())
    return [
        replace(
            each,
            sighting=without_unsent(
                each.sighting, each.evidence.metas if each.evidence else (), carriers, all_told=all_told
            ),
        )
        for each in seen
    ]


def _with_step(sighting: Sighting, evidence: ChordEvidence | None, recorded: RecordedChord) -> Sighting:
    """Return the sighting with a callback of several tasks where that one is which it has come to."""
    if sighting.chord.state in FINISHED:
        return sighting  # the rest of the chain that leads through the chord is not waited for
    step_id, callback_id = recorded.step_id, sighting.chord.callback.task_id
    if not (evidence and step_id and callback_id and step_id != callback_id):
        return sighting
    return replace(sighting, places={**sighting.places, callback_id: place_of(step_id, evidence)})


def _seen(evidence: ChordEvidence | None, recorded: RecordedChord | None) -> Sighting | None:
    """Return what the X-ray sees; nothing of a chord that is still ahead in a chain."""
    if evidence is None:
        return None
    planned = recorded is not None and recorded.chord.state == "planned"
    return None if planned and not (evidence.keys.exists or evidence.messages) else assemble(evidence)


def _nameless(sighting: Sighting, this: Round) -> PlaceKind:
    """Return where missing parts without a known id are: nowhere only if no worker holds a task of unknown kind."""
    chord = sighting.chord
    seen = this.survey.messages.get(chord.chord_id) or this.survey.carried.get(chord.chord_id)
    return "nowhere" if this.survey.everywhere and not this.strangers and not seen else "unknown"


def _strangers(chord: Chord, this: Round) -> tuple[WorkerPlace, ...]:
    """Return the tasks at workers that may be parts of this chord, where nobody knows the ids of its parts."""
    if chord.state in FINISHED or all(gap.task_id for gap in chord.missing):
        return ()
    return tuple(this.survey.held[task_id] for task_id in sorted(this.strangers))


def _may_be_limited(seen: list[Seen], this: Round) -> bool:
    """Whether a message was delivered a while ago to a worker that does not name it."""
    return any(
        place.kind == "unacked"
        and place.eta is None
        and this.taken_at - (place.since or this.taken_at) > NAMED
        for each in seen
        for place in each.sighting.places.values()
    )


def _has_questions(sighting: Sighting, liveness: Liveness) -> bool:
    """Whether the workers could tell more about an open chord."""
    if sighting.chord.state in FINISHED or sighting.chord.state == "planned":
        return False
    if any(gap.task_id is None for gap in sighting.chord.missing):
        return True
    return any(_is_questionable(place, liveness) for place in sighting.places.values())


def _is_questionable(place: Place, liveness: Liveness) -> bool:
    read = {queue for lives in liveness.lives.values() if lives[-1].alive for queue in lives[-1].queues}
    return place.kind in _NOT_LOCATED or (place.kind in ("queue", "unacked") and place.name not in read)


def _not_located(each: Seen) -> Iterator[str]:
    """Yield the tasks of an open chord of which only a stored result could tell more."""
    chord, places = each.sighting.chord, each.sighting.places
    if chord.state in FINISHED or chord.state == "planned":
        return
    for task in chord.header:
        place = places.get(task.task_id or "")
        if task.task_id and not task.counted and (place is None or place.kind in _NOT_LOCATED):
            yield task.task_id


def _failed_chord(culprit: TaskMeta, body: TaskMeta) -> Chord:
    """Return what is known of an inner chord whose callback got a ChordError that names the culprit."""
    return Chord(
        chord_id=culprit.group_id or "",
        state="failed",
        health="failed",
        size=None,
        counted=0,
        missing=(),
        callback=Callback(task_id=body.task_id, name=body.name, state="failed", error=body.error),
        header=(
            HeaderTask(
                index=None,
                task_id=culprit.task_id,
                name=culprit.name,
                state=culprit.state,
                worker=culprit.worker,
                counted=True,
                error=culprit.error,
            ),
        ),
    )


def _with_verdicts(sighting: Sighting, case: Case) -> Sighting:
    verdicts = diagnose(case)
    chord = sighting.chord
    return replace(sighting, chord=replace(chord, verdicts=verdicts, health=health_of(chord.state, verdicts)))
