"""One chord out of what the store recorded and what the X-ray sees of it. Pure.

Celery's own keys say how many parts are counted while they exist, because that is what Celery acts on; the record
knows names, times, attempts and workers, and what is left when the keys are gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from chordwatch.evidence.facts import Place
from chordwatch.model import (
    FINISHED,
    Callback,
    Chord,
    ChordState,
    Errback,
    HeaderTask,
    MissingPart,
    TaskState,
)
from chordwatch.store.protocol import RecordedChord
from chordwatch.watch.assemble import MAX_MISSING, header_order
from chordwatch.watch.look import Sighting

_Task = TypeVar("_Task", Callback, HeaderTask)

#: What a task comes to later stands further behind; the last five are final.
_STATES: tuple[TaskState, ...] = (
    "unknown",
    "published",
    "received",
    "retrying",
    "started",
    "ignored",
    "rejected",
    "revoked",
    "failed",
    "succeeded",
)
_FURTHEST = {state: rank for rank, state in enumerate(_STATES)}
_FINAL = frozenset(_STATES[5:])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tally:
    """How far the header is. `keyed`: Celery's keys name every counted part; `complete`: all are counted."""

    size: int | None
    counted: int
    keyed: bool
    complete: bool

    def counts(self, task_id: str | None, seen: Mapping[str | None, HeaderTask], recorded: bool) -> bool:
        """Return whether the task is counted, given what the record says."""
        task = seen.get(task_id)
        if self.complete:
            return True
        if self.keyed:
            return bool(task and task.counted)
        return recorded or bool(task and task.counted)


def merge(seen: Sighting | None, recorded: RecordedChord | None) -> Sighting:
    """Return the chord as both know it, without verdicts; either may be None, but not both."""
    if recorded is None:
        if seen is None:
            raise ValueError("There is nothing to merge.")
        return seen
    ours = recorded.chord
    xray = seen or Sighting(chord=_unseen(ours))
    state = _state(ours.state, xray.chord.state if seen else None)
    tally = _tally(ours, xray, state)
    callback = _task(ours.callback, xray.chord.callback)
    header = tuple(sorted(_header(ours, xray.chord, callback, tally), key=header_order))
    chord = replace(
        ours,
        state=state,
        size=tally.size,
        counted=tally.counted,
        missing=tuple(_missing(ours, xray.chord, header, tally)),
        callback=callback,
        header=header,
        errbacks=_errbacks(ours, xray.chord),
        opened_at=min(_known(ours.opened_at, xray.chord.opened_at), default=None),
        progressed_at=max(_known(ours.progressed_at, xray.chord.progressed_at), default=None),
        finished_at=(ours.finished_at or xray.chord.finished_at) if state in FINISHED else None,
        evidence_expires_at=xray.chord.evidence_expires_at,
        root_id=ours.root_id or xray.chord.root_id,
        parent_id=ours.parent_id or xray.chord.parent_id,
        instrumented=True,
    )
    return Sighting(chord=chord, places=_places(chord, xray), complete=tally.complete)


def _unseen(ours: Chord) -> Chord:
    """Return what the X-ray says of a chord that it does not see."""
    return Chord(
        chord_id=ours.chord_id,
        state=ours.state,
        health="ok",
        size=None,
        counted=0,
        missing=(),
        callback=Callback(),
        header=(),
    )


def _state(ours: ChordState, theirs: ChordState | None) -> ChordState:
    """Return the state that is furthest: a chord that has finished for one of both is never open again."""
    if "succeeded" in (ours, theirs):
        return "succeeded"
    if ours in FINISHED or theirs is None:
        return ours
    return theirs


def _tally(ours: Chord, xray: Sighting, state: ChordState) -> _Tally:
    theirs = xray.chord
    size = ours.size if theirs.size is None else theirs.size
    complete = xray.complete or state == "succeeded"
    keys_exist = theirs.size is not None or theirs.counted > 0
    if complete:
        counted = max(ours.counted, theirs.counted) if size is None else size
    else:
        counted = theirs.counted if keys_exist else ours.counted
    named = sum(task.counted for task in theirs.header)
    return _Tally(size=size, counted=counted, keyed=keys_exist and named == theirs.counted, complete=complete)


def _header(ours: Chord, theirs: Chord, callback: Callback, tally: _Tally) -> Iterator[HeaderTask]:
    seen: Mapping[str | None, HeaderTask] = {task.task_id: task for task in theirs.header}
    recorded = {task.task_id for task in ours.header}
    for task in ours.header:
        other = seen.get(task.task_id)
        counted = tally.counts(task.task_id, seen, task.counted)
        if other is None:
            yield task if task.counted == counted else replace(task, counted=counted)
        else:
            yield _task(
                task, other, counted=counted, index=task.index if other.index is None else other.index
            )
    for task in theirs.header:
        if task.task_id not in recorded and task.task_id != callback.task_id:
            yield replace(task, counted=tally.counts(task.task_id, seen, False))


def _task(ours: _Task, theirs: _Task, **more: Any) -> _Task:
    """Return a task with the furthest state, and `more`; what it ran as is the record's where that has it."""
    state = _furthest(ours, theirs)
    if state == ours.state == "succeeded" and ours.finished_at and ours.name and ours.worker:
        same = all(getattr(ours, name) == value for name, value in more.items())
        return ours if same else replace(ours, **more)  # nearly all tasks of large lists
    ended = state in _FINAL
    return replace(
        ours,
        task_id=ours.task_id or theirs.task_id,
        name=ours.name or theirs.name,
        state=state,
        queue=ours.queue or theirs.queue,
        worker=ours.worker or theirs.worker,
        attempt=max(_known(ours.attempt, theirs.attempt), default=None),
        published_at=ours.published_at or theirs.published_at,
        started_at=ours.started_at or theirs.started_at,
        finished_at=(ours.finished_at or theirs.finished_at) if ended else ours.finished_at,
        error=ours.error or theirs.error,
        **more,
    )


def _furthest(ours: Callback | HeaderTask, theirs: Callback | HeaderTask) -> TaskState:
    if (
        ours.attempt is not None
        and theirs.attempt is not None
        and ours.attempt > theirs.attempt
        and theirs.state not in _FINAL
    ):
        return ours.state  # what the X-ray knows of it is an attempt of before
    return max(ours.state, theirs.state, key=_FURTHEST.__getitem__)


def _missing(
    ours: Chord, theirs: Chord, header: tuple[HeaderTask, ...], tally: _Tally
) -> Iterator[MissingPart]:
    """Yield what is not counted: known tasks first, those that ran furthest last; then parts without an id."""
    if tally.complete:
        return
    counted = {task.task_id for task in header if task.counted}
    tasks = {task.task_id: task for task in header if not task.counted and task.task_id}
    known = {gap.task_id: gap for gap in (*theirs.missing, *ours.missing) if gap.task_id not in counted}
    known.pop(None, None)
    known |= {id_: MissingPart(index=t.index, task_id=id_, name=t.name) for id_, t in tasks.items()}
    number = len(known) if tally.size is None else max(0, tally.size - tally.counted)
    if len(known) > number:
        # The keys count more than they name: what has ended is the likeliest to be among it.
        unended = sorted(known, key=lambda id_: id_ in tasks and tasks[id_].finished_at is not None)
        known = {id_: known[id_] for id_ in unended[:number]}
    yield from sorted(known.values(), key=header_order)
    yield from _nameless(ours, theirs, header, min(number, MAX_MISSING) - len(known))


def _nameless(
    ours: Chord, theirs: Chord, header: tuple[HeaderTask, ...], number: int
) -> Iterator[MissingPart]:
    """Yield so many parts without an id, with the indexes that nobody was seen for."""
    taken = {task.index for task in header}
    gaps = (gap for gap in (*theirs.missing, *ours.missing) if gap.task_id is None and gap.index is not None)
    indexes = sorted({gap.index for gap in gaps if gap.index is not None} - taken)[: max(0, number)]
    for index in indexes:
        yield MissingPart(index=index)
    for _ in range(number - len(indexes)):
        yield MissingPart(index=None)


def _errbacks(ours: Chord, theirs: Chord) -> tuple[Errback, ...]:
    known = {errback.task_id or errback.name: errback for errback in theirs.errbacks}
    for errback in ours.errbacks:
        other = known.get(errback.task_id or errback.name, errback)
        state = max(errback.state, other.state, key=_FURTHEST.__getitem__)
        known[errback.task_id or errback.name] = replace(
            errback, name=errback.name or other.name, state=state
        )
    return tuple(known.values())


def _places(chord: Chord, xray: Sighting) -> dict[str, Place]:
    """Return the places of what is still waited for, the callback's under the id that it now has."""
    if chord.state in FINISHED:
        return {}
    missing = {gap.task_id for gap in chord.missing}
    # A part that succeeded is about to be counted; its message was met before that.
    done = {task.task_id for task in chord.header if task.state == "succeeded"}
    places = {
        task_id: place
        for task_id, place in xray.places.items()
        if task_id in missing and (task_id not in done or place.kind == "nowhere")
    }
    place = xray.places.get(xray.chord.callback.task_id or "")
    if place and chord.callback.task_id and chord.callback.state not in _FINAL:
        places[chord.callback.task_id] = place
    return places


_Number = TypeVar("_Number", int, float)


def _known(*values: _Number | None) -> tuple[_Number, ...]:
    return tuple(value for value in values if value is not None)
