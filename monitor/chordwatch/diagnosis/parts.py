"""What is known of a chord's parts beyond where they are: how they ended, and whether anybody has them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.taken import last_run
from chordwatch.evidence.facts import PlaceKind, TaskMeta
from chordwatch.model import Attempt, HeaderTask, TaskState

#: Where a task can still go on from.
LOCATED: frozenset[PlaceKind] = frozenset({"queue", "unacked", "active", "reserved", "scheduled"})
#: States after which a task does not run again by itself, and those of them that Celery counts.
ENDED: frozenset[TaskState] = frozenset({"succeeded", "failed", "revoked", "rejected", "ignored"})
FAILED: frozenset[TaskState] = frozenset({"failed", "revoked"})
#: A worker counts a part right after it stored the result. Seconds; the longer one where the worker's clock may differ.
COUNTED_AFTER, COUNTED_AFTER_BY_ANY_CLOCK = 5.0, 90.0


def located(case: Case, task_id: str | None) -> bool:
    """Whether the task is somewhere where it runs or can be taken from."""
    return case.place(task_id).kind in LOCATED


def gone(case: Case, *states: TaskState) -> Iterator[HeaderTask]:
    """Yield the uncounted parts of an open chord that are in one of these states (any without) and not located."""
    if case.is_open:
        for task in case.open_parts():
            if (not states or task.state in states) and not located(case, task.task_id):
                yield task


def recorded_parts(case: Case) -> Mapping[str, HeaderTask]:
    """Return the header as it was recorded, by task id."""
    header = case.recorded.chord.header if case.recorded else ()
    return {task.task_id: task for task in header if task.task_id}


def last_end(task: HeaderTask) -> Attempt | None:
    """Return the run that a task ended with; None if another was sent or begun since, or nothing is recorded."""
    run = last_run(task)
    return run if run and run.state in ENDED else None


def uncounted_results(case: Case) -> Iterator[tuple[HeaderTask, TaskMeta]]:
    """Yield the parts of an open chord with a final result of this chord's that Celery has not counted."""
    if not (case.is_open and case.keys and case.keys.parts_complete and case.keys.counting == "keys"):
        return
    for task in gone(case):
        meta = case.metas.get(task.task_id or "")
        if meta and meta.state in ("succeeded", "failed") and meta.group_id == case.chord.chord_id:
            yield task, meta


def settled(case: Case, task_id: str, finished_at: float | None) -> bool:
    """Whether a part that has ended would have been counted by now, were it ever to be."""
    age = case.now - finished_at if finished_at is not None else 0.0
    return age >= COUNTED_AFTER_BY_ANY_CLOCK or (age >= COUNTED_AFTER and case.lost(task_id))


def callback_seen(case: Case) -> bool:
    """Whether there is any sign that the callback was published, or is over."""
    callback = case.chord.callback
    if case.keys and case.keys.claim == "done":
        return True
    return (
        callback.published_at is not None
        or callback.state != "unknown"
        or located(case, callback.task_id)
        or callback.task_id in case.metas
    )


def held_by_workers(case: Case) -> set[str]:
    """Return the ids of the tasks that living workers hold."""
    answered = {task.task_id for worker in case.consumers.workers for task in worker.tasks}
    beating = (lives[-1] for lives in case.lives.values() if lives and lives[-1].alive)
    return answered | {task_id for life in beating for task_id in (*life.active, *life.reserved)}


def begun_at(case: Case) -> float | None:
    """Return when the chord was opened, or the earliest sign of it (Unix seconds)."""
    signs = (
        moment
        for task in case.chord.header
        for moment in (task.published_at, task.started_at, task.finished_at)
        if moment is not None
    )
    return case.chord.opened_at if case.chord.opened_at is not None else min(signs, default=None)
