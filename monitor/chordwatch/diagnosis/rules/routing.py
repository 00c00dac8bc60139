"""What lies in queues that nobody reads. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.verdicts import verdict, where
from chordwatch.diagnosis.wording import (
    clock,
    listed,
    reads,
    tasks_that,
    the_callback,
)
from chordwatch.model import Verdict
from chordwatch.text import plain


def queue_unconsumed(case: Case) -> Iterator[Verdict]:
    """Header tasks in a queue that none of the workers reads."""
    for queue, tasks in _unread(case).items():
        header = [task for task in tasks if task != case.chord.callback.task_id]
        if header:
            what = tasks_that("wait", header, " of the header")
            yield _unconsumed(case, "queue_unconsumed", queue, header, what)


def callback_queue_unconsumed(case: Case) -> Iterator[Verdict]:
    """The callback in a queue that none of the workers reads."""
    callback = case.chord.callback
    for queue, tasks in _unread(case).items():
        if callback.task_id in tasks:
            what = f"{the_callback(case.chord)} waits"
            yield _unconsumed(case, "callback_queue_unconsumed", queue, [callback.task_id], what)


def _unread(case: Case) -> dict[str, list[str]]:
    """Return the tasks in queues that no worker reads, by queue; without any worker, that none of the last did."""
    if case.consumers.asked_at is None or not (case.consumers.workers or case.last_readers):
        return {}
    read = {queue for queues in case.last_readers.values() for queue in queues}
    return {
        queue: tasks
        for queue, tasks in case.by_queue().items()
        if queue not in read and not case.consumers.of(queue) and not case.undecided(queue)
    }


def _unconsumed(case: Case, cause: str, queue: str, tasks: list[str], what: str) -> Verdict:
    return verdict(
        case,
        cause,
        tasks=tasks,
        summary=f"{what} in queue {plain(queue)}, which no worker reads.",
        evidence=[*where(case, tasks), _readers(case)],
        question=None
        if case.knows_readers(queue)
        else f"Does a worker that is too busy to answer read the queue {plain(queue)}?",
        since=case.consumers.missing_since.get(queue) or case.since,
    )


def _readers(case: Case) -> str:
    online = {worker.hostname: worker.queues for worker in case.consumers.workers}
    workers = listed(
        [f"{plain(name)} ({reads(queues)})" for name, queues in (online or case.last_readers).items()]
    )
    when = f"Online at {clock(case.consumers.asked_at)}" if online else "No worker is online; the last were"
    return f"{when}: {workers}."


RULES = (queue_unconsumed, callback_queue_unconsumed)
