"""Which worker took a task that has not ended, and what has become of that worker. Pure.

A worker that does not answer is not dead for that: only a heartbeat that stopped, a goodbye, or another start under
the same name say so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.lives import Taker, taker_of
from chordwatch.diagnosis.wording import clock, span
from chordwatch.evidence.facts import Worker, WorkerLife
from chordwatch.model import Attempt, Callback, HeaderTask
from chordwatch.text import plain

#: Clocks of workers, store and this machine differ, and a worker takes tasks shortly before its first heartbeat.
SLACK_SECONDS = 5.0

#: alive: nothing speaks against it. frozen: no heartbeat, but connected. dead: no heartbeat, not connected.
#: gone: it said goodbye. restarted: another life under its name began. silent: no sign of life, no sign of death.
Fate = Literal["alive", "frozen", "dead", "gone", "restarted", "silent"]
#: With these a worker holds nothing any more.
ENDED: tuple[Fate, ...] = ("dead", "gone", "restarted")
_TAKEN = ("received", "started")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A task as a worker took it last, `at` Unix seconds; `pid` of the process that runs it, where a result tells."""

    task_id: str
    worker: str
    started: bool
    at: float | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What has become of a worker; `at` (Unix seconds) when, and a sentence that says how that is known.

    `told` is False where the worker does not beat, so that all rests on its answers to `inspect`. `anew_at`: when
    another life under its name began, which lives and may have taken the task instead.
    """

    fate: Fate
    text: str = ""
    at: float | None = None
    told: bool = True
    anew_at: float | None = None


def awaited(case: Case) -> Iterator[HeaderTask | Callback]:
    """Yield the tasks that the chord waits for and no rule has explained: parts, and the callback if it has an id."""
    yield from case.open_parts()
    callback = case.chord.callback
    if case.is_open and callback.task_id and callback.task_id not in case.explained:
        yield callback


def last_run(task: HeaderTask | Callback) -> Attempt | None:
    """Return the last run that is recorded of a task."""
    return task.attempts[-1] if isinstance(task, HeaderTask) and task.attempts else None


def taken_by(case: Case, task: HeaderTask | Callback) -> Taken | None:
    """Return the worker that took the task last and has not told its end; None where nobody is known to have."""
    if not task.task_id:
        return None
    run, meta = last_run(task), case.metas.get(task.task_id)
    if run and run.worker:
        if run.state not in _TAKEN:
            return None
        started = run.started_at is not None
        return Taken(
            task_id=task.task_id, worker=run.worker, started=started, at=run.started_at or run.received_at
        )
    if meta and meta.state == "started" and meta.worker:
        return Taken(task_id=task.task_id, worker=meta.worker, started=True, at=meta.started_at, pid=meta.pid)
    if case.recorded and run is None and task.worker and task.state in _TAKEN:
        started = task.started_at is not None
        return Taken(
            task_id=task.task_id, worker=task.worker, started=started, at=task.started_at or task.published_at
        )
    return None


def end_of(case: Case, taken: Taken) -> End:
    """Return what has become of the worker since it took the task."""
    if case.lives.get(taken.worker):
        return _told_by_lives(case, taken)
    return _told_by_answers(case, taken)


def is_undecided(case: Case, taken: Taken) -> bool:
    """Whether the worker's life that took the task beats no more since it was missed, and is not yet called ended."""
    taker = taker_of(case.lives.get(taken.worker, ()), taken.task_id, taken.at)
    missed = case.nowhere_since.get(taken.task_id, 0.0)
    return taker.life is not None and taker.life.alive and taker.life.last_beat_at <= missed


def by_worker(found: Iterator[tuple[Taken, End]]) -> dict[tuple[str, End], list[Taken]]:
    """Return the tasks by the worker that took them and what has become of it: one may have died several times."""
    grouped: dict[tuple[str, End], list[Taken]] = defaultdict(list)
    for taken, end in found:
        grouped[taken.worker, end].append(taken)
    return grouped


def answered(case: Case, hostname: str) -> Worker | None:
    """Return the worker as it answered `inspect`; None for one that did not, or that only its heartbeat tells of."""
    return next(
        (w for w in case.consumers.workers if w.hostname == hostname and w.started_at is not None), None
    )


def frozen(life: WorkerLife) -> bool:
    """Whether a worker beats no more and is connected all the same."""
    return life.stale and not life.gone and life.connected is True


def _told_by_lives(case: Case, taken: Taken) -> End:
    taker = taker_of(case.lives[taken.worker], taken.task_id, taken.at)
    end, rival = _end_of_life(case, taker, plain(taken.worker)), taker.rival
    over = rival is not None and not rival.alive and not frozen(rival)
    if rival is None or end.fate == "alive" or (over and end.fate in ENDED):
        return end
    return _in_doubt(case, taken, end, rival)


def _in_doubt(case: Case, taken: Taken, end: End, rival: WorkerLife) -> End:
    """Say that one of two lives took the task, of which the first has ended: only if the second does not have it."""
    kind, anew = case.place(taken.task_id).kind, clock(rival.since)
    text = f"{end.text} It was started anew by {anew}, at about the time at which the task was taken."
    if kind in ("nowhere", "unknown"):
        return replace(end, text=text, anew_at=rival.since)
    if kind == "unacked" and taken.started:
        return End(fate="silent", at=end.at, text=text, anew_at=rival.since)
    return End(fate="alive")


def _end_of_life(case: Case, taker: Taker, name: str) -> End:
    life, later = taker.life, taker.later
    if life and life.alive:
        return End(fate="alive")
    if life and life.gone:
        text = f"{name} said goodbye at {clock(life.last_beat_at)}, without telling that the task had ended."
        return End(fate="gone", at=life.last_beat_at, text=text)
    if life and life.connected is not None:
        return _stale(case, life, name)
    if later:
        text = f"{name} was started anew at {clock(later[0].since)}, under the same name."
        return End(fate="restarted", at=later[0].since, text=text)
    beat = life.last_beat_at if life else None
    text = f"The last heartbeat of {name} came at {clock(beat)}; whether it is still connected could not be read."
    return End(fate="silent", at=beat, text=text)


def _stale(case: Case, life: WorkerLife, name: str) -> End:
    beat = f"The last heartbeat of {name} came at {clock(life.last_beat_at)}, {span(case.now - life.last_beat_at)} ago"
    if frozen(life):
        return End(
            fate="frozen", at=life.last_beat_at, text=f"{beat}, but its connection to the store is there."
        )
    return End(fate="dead", at=life.last_beat_at, text=f"{beat}, and its connection to the store is gone.")


def _told_by_answers(case: Case, taken: Taken) -> End:
    """Judge a worker that does not beat by what it answers, if it does."""
    asked_at, name = case.consumers.asked_at, plain(taken.worker)
    if asked_at is None or (taken.at is not None and asked_at < taken.at + SLACK_SECONDS):
        return End(fate="alive", told=False)
    if not any(worker.hostname == taken.worker for worker in case.consumers.workers):
        return End(fate="silent", told=False, text=f"{name} did not answer an inspect at {clock(asked_at)}.")
    worker = answered(case, taken.worker)
    if worker is None or not _restarted(case, taken, worker):
        return End(fate="alive", told=False)
    pid = f", and has no process {taken.pid}, which ran the task" if _lacks(worker, taken.pid) else ""
    text = f"{name} answers, but was started at {clock(worker.started_at)}{pid}."
    return End(fate="restarted", at=worker.started_at, told=False, text=text)


def _restarted(case: Case, taken: Taken, worker: Worker) -> bool:
    """Whether the worker was started after it took the task; its task's start is known or lies after the chord's."""
    began = worker.started_at or 0.0
    if taken.at is not None:
        return began > taken.at + SLACK_SECONDS
    opened = case.chord.opened_at
    return (opened is None or began > opened + SLACK_SECONDS) and _lacks(worker, taken.pid)


def _lacks(worker: Worker, pid: int | None) -> bool:
    return pid is not None and bool(worker.processes) and pid not in {worker.pid, *worker.processes}
