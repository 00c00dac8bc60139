"""What a store knows of a chord becomes the chord that every surface shows. Pure; shared by both stores."""

from __future__ import annotations

from collections.abc import Iterator

from chordwatch.model import (
    Attempt,
    Callback,
    Chord,
    ChordState,
    Errback,
    HeaderTask,
    MissingPart,
    TaskState,
    health_of,
)
from chordwatch.recording.records import Role
from chordwatch.store.facts import ChordFacts, SingleRun, State, TaskFacts
from chordwatch.store.protocol import Membership, RecordedChord
from chordwatch.store.runs import END_STATES, Summary, seconds, summary_of
from chordwatch.store.states import total_size, work_out

#: A forged size is not counted up to: at most so many parts are named as missing.
MAX_MISSING = 200_000
_STATES: dict[State, ChordState] = {
    State.PLANNED: "planned",
    State.OPEN: "open",
    State.SUCCEEDED: "succeeded",
    State.FAILED: "failed",
}


def read_chord(facts: ChordFacts, *, namespace: str, header: bool = True) -> RecordedChord:
    """Return the chord; its header without counted tasks where those were left out, without any if not `header`."""
    tasks = {task_id: summary_of(task) for task_id, task in facts.header.items() if not task.single}
    body = {task_id: summary_of(task) for task_id, task in facts.others.items() if task.role == Role.CALLBACK}
    state = _STATES[facts.state]
    chord = Chord(
        chord_id=facts.chord_id,
        state=state,
        health=health_of(state, ()),
        size=total_size(facts),
        counted=facts.counted,
        missing=() if facts.detail_dropped else tuple(_missing(facts, tasks)),
        callback=_callback(facts, body),
        header=tuple(_header(facts, tasks)) if header else (),
        errbacks=tuple(_errbacks(facts)),
        opened_at=_time(facts.opened),
        progressed_at=_time(facts.progressed),
        finished_at=_time(_finished(facts)),
        root_id=facts.root_id,
        parent_id=facts.parent_id,
        namespace=namespace,
        instrumented=True,
    )
    everything = {**facts.header, **facts.others}
    error = facts.dispatch_error
    return RecordedChord(
        chord=chord,
        applied=facts.applied,
        dispatch_error=(seconds(error[0]), error[1]) if error else None,
        step_id=_step_id(body),
        carrier_id=facts.carrier_id,
        signature=facts.signature,
        trace=facts.trace,
        dynamic=tuple(task_id for task_id, task in facts.header.items() if task.dynamic),
        etas={task_id: seconds(task.eta) for task_id, task in everything.items() if task.eta is not None},
        callback_runs={task_id: task.attempts for task_id, task in body.items() if len(task.attempts) > 1},
        detail_dropped=facts.detail_dropped,
    )


def membership_of(facts: ChordFacts, task_id: str) -> Membership:
    """Return as what a task belongs to a chord that it is near to (`nearness`)."""
    part = facts.header.get(task_id)
    return Membership(
        chord_id=facts.chord_id,
        role="header" if part else "callback",
        index=part.index if part else None,
        callback=facts.callback.name,
    )


def _time(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else seconds(milliseconds)


def _order(item: tuple[str, TaskFacts]) -> tuple[bool, int, str]:
    task_id, task = item
    return task.index is None, task.index or 0, task_id


def _header(facts: ChordFacts, tasks: dict[str, Summary]) -> Iterator[HeaderTask]:
    for task_id, task in sorted(facts.header.items(), key=_order):
        if task.single:
            yield _single(task_id, task, task.single)
            continue
        summary, run = tasks[task_id], tasks[task_id].run
        yield HeaderTask(
            index=task.index,
            task_id=task_id,
            name=summary.name,
            state=summary.state,
            queue=summary.queue,
            worker=run.worker if run else None,
            attempt=summary.attempt,
            published_at=seconds(run.published.at) if run and run.published else None,
            started_at=seconds(run.started.at) if run and run.started else None,
            finished_at=seconds(run.ended.at) if run and run.ended else None,
            counted=task.counted,
            error=run.ended.error if run and run.ended else None,
            attempts=summary.attempts,
        )


def _single(task_id: str, task: TaskFacts, run: SingleRun) -> HeaderTask:
    """Return a header task that ran at most once, as most do: with 100,000 of them it has to be quick."""
    published, started, finished = _time(run.published), _time(run.started), _time(run.finished)
    state: TaskState = "published"
    if run.end:
        state = END_STATES.get(run.end, "unknown")
    elif run.started or run.received:
        state = "started" if run.started else "received"
    attempt = Attempt(
        attempt=0,
        state=state,
        worker=run.worker,
        published_at=published,
        received_at=_time(run.received),
        started_at=started,
        finished_at=finished,
    )
    return HeaderTask(
        index=task.index,
        task_id=task_id,
        name=task.name,
        state=state,
        queue=run.queue,
        worker=run.worker,
        attempt=0,
        published_at=published,
        started_at=started,
        finished_at=finished,
        counted=task.counted,
        attempts=(attempt,),
    )


def _missing(facts: ChordFacts, tasks: dict[str, Summary]) -> Iterator[MissingPart]:
    """Yield what is not counted: known tasks in the header's order, then the gaps that nobody was seen for."""
    waiting = sorted(((i, t) for i, t in facts.header.items() if not t.counted), key=_order)
    size = total_size(facts)
    if facts.state > State.OPEN and size is not None and facts.counted >= size:
        return
    gaps = [
        MissingPart(index=t.index, task_id=i, name=t.name if t.single else tasks[i].name) for i, t in waiting
    ]
    if size is not None:
        rest = min(size - facts.counted - len(waiting), MAX_MISSING)
        seen = facts.counted_indexes | {t.index for t in facts.header.values() if t.index is not None}
        free = (index for index in range(min(facts.size or 0, MAX_MISSING)) if index not in seen)
        gaps += [MissingPart(index=next(free, None)) for _ in range(rest)]
    yield from sorted(gaps, key=lambda gap: (gap.index is None, gap.index or 0))


def _callback(facts: ChordFacts, tasks: dict[str, Summary]) -> Callback:
    """Return the callback: the state of the task that decides, the times from the first to the last of its tasks."""
    known = facts.callback
    task_id = known.task_id or (min(tasks, key=lambda i: (_published(tasks[i]), i)) if tasks else None)
    if not tasks:
        return Callback(task_id=task_id, name=known.name, queue=known.queue)
    deciding = _deciding(facts, tasks)
    run = deciding.run
    started = [
        s.at for t in facts.others.values() if t.role == Role.CALLBACK for x in t.tries for s in x.started
    ]
    published = [
        s.at for t in facts.others.values() if t.role == Role.CALLBACK for x in t.tries for s in x.published
    ]
    finished = _finished(facts) if facts.state > State.OPEN else None
    return Callback(
        task_id=task_id,
        name=known.name or deciding.name,
        state=deciding.state,
        queue=deciding.queue or known.queue,
        worker=run.worker if run else None,
        attempt=deciding.attempt,
        published_at=_time(min(published, default=None)),
        started_at=_time(min(started, default=None)),
        finished_at=_time(finished),
        error=run.ended.error if run and run.ended else None,
    )


def _published(summary: Summary) -> int:
    run = summary.run
    if run is None:
        return 1 << 62
    return run.published.at if run.published else run.begins


def _in_order(tasks: dict[str, Summary]) -> list[str]:
    return sorted(tasks, key=lambda i: (_published(tasks[i]), i))


def _step_id(tasks: dict[str, Summary]) -> str | None:
    """Return the first of the callback's tasks that has not succeeded."""
    return next((task_id for task_id in _in_order(tasks) if tasks[task_id].state != "succeeded"), None)


def _deciding(facts: ChordFacts, tasks: dict[str, Summary]) -> Summary:
    """Return the task that decides what state the callback is in."""
    ordered = [tasks[i] for i in _in_order(tasks)]
    failed = [s for s in ordered if s.state in ("failed", "revoked")]
    if failed:
        return failed[0]
    if facts.state == State.SUCCEEDED:
        own = tasks.get(facts.callback.task_id or "")
        if own and own.state == "succeeded":
            return own  # a part of what replaced it may have been noted later: Celery signals its end after counting it
        return max(ordered, key=lambda s: s.run.ended.at if s.run and s.run.ended else 0)
    going_on = [s for s in ordered if s.state != "succeeded"]
    if going_on:
        return going_on[0]
    # Every task that was seen has succeeded, but a further step or member is to come.
    last = ordered[-1]
    return Summary(
        state="started",
        name=last.name,
        queue=last.queue,
        attempt=last.attempt,
        run=None,
        attempts=last.attempts,
    )


def _finished(facts: ChordFacts) -> int | None:
    """Return when the chord finished: with its callback, or when the part was counted that made Celery give it up."""
    if facts.state <= State.OPEN:
        return None
    return work_out(facts, active=True)[1] or facts.last_counted


def _errbacks(facts: ChordFacts) -> Iterator[Errback]:
    seen = {i: summary_of(t) for i, t in facts.others.items() if t.role == Role.ERRBACK}
    for task_id, name in facts.errbacks:
        summary = seen.pop(task_id, None) if task_id else None
        yield Errback(task_id=task_id, name=name, state=summary.state if summary else "unknown")
    for task_id, summary in sorted(seen.items()):
        yield Errback(task_id=task_id, name=summary.name, state=summary.state)
