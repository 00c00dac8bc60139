"""What runs: well, for too long, or again and again. Pure."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.taken import ENDED, Taken, end_of
from chordwatch.diagnosis.verdicts import verdict, where
from chordwatch.diagnosis.wording import (
    NAMED,
    clock,
    either,
    listed,
    name_words,
    plural,
    rest,
    sentence,
    span,
    tasks_that,
)
from chordwatch.evidence.facts import Place
from chordwatch.model import Attempt, HeaderTask, Verdict
from chordwatch.text import plain

#: A task is overdue when it runs so many times as long as nearly all of its kind.
_OVERDUE_FACTOR = 3.0
#: A task that was begun so often in the same attempt is begun for ever.
_LOOP_STARTS = 3
_VISIBILITY_TIMEOUT = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """A task that was begun `starts` times in one attempt, of which so many rejected their message."""

    task: HeaderTask
    attempt: int
    starts: int
    rejected: int
    first: float
    last: float
    workers: tuple[str, ...]


def worker_lost_loop(case: Case) -> Iterator[Verdict]:
    """Tasks that take their worker process down each time, and whose messages come back each time."""
    for loop in _loops(case):
        if loop.rejected * 2 < loop.starts:
            yield _looping(case, "worker_lost_loop", loop, "and lost its process each time")
    yield from _seen_looping(
        case, "worker_lost_loop", "Does the log of its worker say that a process exited?"
    )


def requeue_loop(case: Case) -> Iterator[Verdict]:
    """Tasks that put their own message back each time (`Reject(requeue=True)`)."""
    for loop in _loops(case):
        if loop.rejected * 2 >= loop.starts:
            yield _looping(case, "requeue_loop", loop, "and put its message back each time")
    yield from _seen_looping(case, "requeue_loop", "Does its code raise Reject(requeue=True)?")


def task_overdue(case: Case) -> Iterator[Verdict]:
    """Tasks that run far longer than nearly all of their kind did. Without history none is."""
    late: dict[str, dict[str, float]] = defaultdict(dict)
    for task_id, place in case.in_places("active").items():
        name = _name(case, task_id) or ""
        usual = case.usual.get(name)
        if usual is not None and place.since is not None and case.now - place.since > _bound(case, usual):
            late[name][task_id] = place.since
    for name, begun in late.items():
        usual, since = case.usual[name], min(begun.values())
        elapsed, bound = span(case.now - since), _bound(case, usual)
        first = next(iter(begun))
        if len(begun) == 1:
            what = f"{case.described(first)} runs on {plain(case.place(first).name or '?')} for {elapsed}"
        else:
            what = f"{len(begun):,} tasks {name_words(name)} run for up to {elapsed}"
        yield verdict(
            case,
            "task_overdue",
            tasks=list(begun),
            summary=f"{what}; nearly all of {either(begun, 'its', 'their')} kind took at most {_seconds(usual)}.",
            evidence=[
                *where(case, list(begun)),
                (
                    f"Nearly all finished runs of {name_words(name)} took at most {_seconds(usual)}; it counts as "
                    f"overdue after {span(bound)}."
                ),
            ],
            since=since + bound,
        )


def _bound(case: Case, usual: float) -> float:
    """Return after how many seconds a run is overdue."""
    return max(case.overdue_floor, _OVERDUE_FACTOR * usual)


def callback_running(case: Case) -> Iterator[Verdict]:
    """The callback that a worker runs."""
    callback = case.chord.callback.task_id
    running = {task: place for task, place in case.in_places("active").items() if task == callback}
    if running:
        yield _running(case, "callback_running", running, f"{case.described(callback or '')} runs")


def header_running(case: Case) -> Iterator[Verdict]:
    """Header tasks that a worker runs."""
    callback = case.chord.callback.task_id
    running = {task: place for task, place in case.in_places("active").items() if task != callback}
    if running:
        yield _running(case, "header_running", running, tasks_that("run", running))


def _running(case: Case, cause: str, running: Mapping[str, Place], what: str) -> Verdict:
    workers = listed(sorted({plain(place.name or "") for place in running.values()}))
    return verdict(
        case,
        cause,
        tasks=list(running),
        summary=f"{what} on {workers}.",
        evidence=where(case, list(running)),
        since=min((place.since for place in running.values() if place.since), default=None),
    )


def _name(case: Case, task_id: str) -> str | None:
    task = case.task(task_id)
    return task.name if task else case.chord.callback.name


def _seconds(seconds: float) -> str:
    return span(seconds) if seconds >= 1 else f"{seconds:.2f} s"


def _loops(case: Case) -> Iterator[_Loop]:
    for task in case.open_parts():
        if len(task.attempts) >= _LOOP_STARTS:
            yield from _loops_of(case, task)


def _loops_of(case: Case, task: HeaderTask) -> Iterator[_Loop]:
    """Yield the loop of the task's last attempt, if it is in one."""
    number = task.attempts[-1].attempt
    runs = [run for run in task.attempts if run.attempt == number and run.started_at is not None]
    runs.sort(key=lambda run: run.started_at or 0.0)
    if len(runs) < _LOOP_STARTS or runs[-1].state not in ("started", "rejected"):
        return
    # The last one may still end well; each before it must have ended without telling the chord.
    if not all(_came_back(case, task, run, after) for run, after in itertools.pairwise(runs)):
        return
    yield _Loop(
        task=task,
        attempt=number,
        starts=len(runs),
        rejected=sum(run.state == "rejected" for run in runs),
        first=runs[0].started_at or 0.0,
        last=runs[-1].started_at or 0.0,
        workers=tuple(sorted({run.worker for run in runs if run.worker})),
    )


def _came_back(case: Case, task: HeaderTask, run: Attempt, after: Attempt) -> bool:
    """Whether the run gave its message back. One that goes on while its message is delivered anew does not count."""
    if run.state == "rejected":
        return True
    if run.state != "started" or run.started_at is None or after.started_at is None:
        return False
    timeout = case.limits.visibility_timeout or _VISIBILITY_TIMEOUT
    if after.started_at - (run.received_at or run.started_at) < timeout:
        return True
    taken = Taken(task_id=task.task_id or "", worker=run.worker or "", started=True, at=run.started_at)
    return end_of(case, taken).fate in ENDED


def _looping(case: Case, cause: str, loop: _Loop, what: str) -> Verdict:
    task_id = loop.task.task_id or ""
    every = (loop.last - loop.first) / (loop.starts - 1)
    return verdict(
        case,
        cause,
        tasks=[task_id],
        summary=f"{case.described(task_id)} was started {loop.starts:,} times in attempt {loop.attempt + 1}, {what}.",
        evidence=[
            (
                f"Started {loop.starts:,} times between {clock(loop.first)} and {clock(loop.last)}, every "
                f"{_seconds(every)}, on {listed([plain(worker) for worker in loop.workers])}."
            ),
            (
                f"{plural(loop.rejected, 'start')} ended with the message rejected, "
                f"{plural(loop.starts - loop.rejected, 'start')} without an end; the attempt stayed {loop.attempt + 1}."
            ),
        ],
        since=loop.first,
    )


def _seen_looping(case: Case, cause: str, question: str) -> Iterator[Verdict]:
    """Tasks of which no record tells, but which looks saw begun anew: which of the two loops, they cannot tell."""
    again = {id_: n for id_, n in case.starts_seen.items() if n >= _LOOP_STARTS and id_ in case.places}
    open_ids = [id_ for id_ in again if id_ not in case.explained]
    if open_ids:
        yield verdict(
            case,
            cause,
            tasks=open_ids,
            summary=f"{tasks_that('start', open_ids)} again and again without a retry.",
            evidence=[
                sentence(f"{case.described(id_)} was seen to start {again[id_]:,} times.")
                for id_ in open_ids[:NAMED]
            ]
            + rest(len(open_ids)),
            certain=False,
            question=question,
            since=case.since,
        )


LOOPING = (worker_lost_loop, requeue_loop)
LATE = (task_overdue,)
RULES = (callback_running, header_running)
