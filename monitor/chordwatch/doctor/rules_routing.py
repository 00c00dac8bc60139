"""Messages that nobody takes, or that nobody can run. Pure; one function per rule, named as the rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from chordwatch.diagnosis.verdicts import pasted
from chordwatch.doctor.facts import Facts, Worker
from chordwatch.doctor.finding import Finding
from chordwatch.doctor.wording import some, tasks
from chordwatch.text import plain


def no_workers(facts: Facts) -> Iterator[Finding]:
    """Nothing runs at all."""
    if facts.workers == () and not facts.beating:
        yield Finding(
            rule="no_workers",
            severity="warning",
            where="workers",
            reason="No worker answers on this broker. What is sent waits until one starts; and what depends on the "
            "workers' configuration was not checked.",
            fix="Start the workers, then run this again; solo and gevent workers do not answer while they are busy.",
        )


def queue_unconsumed(facts: Facts) -> Iterator[Finding]:
    """A queue that is routed to and that nobody reads: its chords hang, silently."""
    consumed = {queue for worker in facts.answered for queue in worker.queues}
    consumed |= {queue for queues in facts.beating.values() for queue in queues}
    if facts.workers is None or not consumed:  # nobody answers: no_workers says it
        return
    users = _users(facts)
    for queue in sorted(users.keys() - consumed):
        yield _unread(
            queue,
            f"{tasks(len(users[queue]))} ({some(users[queue])}) {_go(users[queue])} there",
            certain=True,
        )
    named = {
        queue: setting for queue, setting in facts.routed.items() if queue not in consumed | users.keys()
    }
    for queue, setting in sorted(named.items()):
        yield _unread(queue, f"{setting} names it", certain=False)


def _users(facts: Facts) -> Mapping[str, list[str]]:
    users: dict[str, list[str]] = defaultdict(list)
    for task in facts.tasks:
        if task.queue:
            users[task.queue].append(task.name)
    return users


def _go(names: list[str]) -> str:
    return "goes" if len(names) == 1 else "go"


def _unread(queue: str, use: str, *, certain: bool) -> Finding:
    return Finding(
        rule="queue_unconsumed",
        severity="error" if certain else "warning",
        where=f"queue {plain(queue)}",
        reason=f"No worker that answers reads it, and {use}. What is sent there waits for ever, with its chord; "
        "that is no error for Celery.",
        fix=f"Start a worker with -Q {pasted(queue)}, or change the route. Solo and gevent workers do not answer "
        "while they are busy: if one of them reads it, run this again.",
    )


def task_unregistered(facts: Facts) -> Iterator[Finding]:
    """A worker that does not know a task's name drops it, and Celery does not count it for its chord."""
    queue_of = {task.name: task.queue for task in facts.tasks}
    for worker in facts.answered:
        if worker.registered is None:
            continue
        missing = {name for name, queue in queue_of.items() if queue in worker.queues} - worker.registered
        if missing:
            yield _unknown(worker, missing, "this process sends", certain=True)
        # Where a task goes that only workers know is not known here.
        skewed = _known_beside(worker, facts) - worker.registered - queue_of.keys()
        if skewed:
            yield _unknown(worker, skewed, "another worker of the same queues knows", certain=False)


def _known_beside(worker: Worker, facts: Facts) -> set[str]:
    """Return the names that other workers of the very same queues know: they get the same messages."""
    return {
        name
        for other in facts.answered
        if other is not worker and other.queues == worker.queues and worker.queues
        for name in other.registered or ()
    }


def _unknown(worker: Worker, names: set[str], whose: str, *, certain: bool) -> Finding:
    return Finding(
        rule="task_unregistered",
        severity="error" if certain else "warning",
        where=f"worker {plain(worker.name)}",
        reason=f"It reads a queue but does not know {tasks(len(names))} that {whose}: {some(names)}. "
        "It drops their messages, and chords with such a header task hang.",
        fix="Deploy workers before producers, and check that imports, include or autodiscover_tasks reach the module.",
    )


RULES = (no_workers, queue_unconsumed, task_unregistered)
