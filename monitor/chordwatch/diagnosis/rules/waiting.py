"""What waits and will go on by itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from chordwatch.diagnosis.case import Case, grouped
from chordwatch.diagnosis.delivered import delivered
from chordwatch.diagnosis.taken import answered
from chordwatch.diagnosis.verdicts import verdict, where
from chordwatch.diagnosis.wording import clock, either, listed, span, tasks_that
from chordwatch.evidence.facts import Place, Worker
from chordwatch.model import Verdict
from chordwatch.text import plain

#: A scheduled task is late when its time has passed by this much.
SLACK_SECONDS = 10.0
#: A worker of whose slots one was taken since has freed it just now, and will free the next. Seconds.
_BUSY_SECONDS = 5.0


_IS_IT_ALIVE = "Is the worker alive that took it? It did not name the task among those it holds back."
_ARE_THEY_ALIVE = (
    "Are the workers alive that took them? They did not name the tasks among those they hold back."
)


def prefetch_hoarded(case: Case) -> Iterator[Verdict]:
    """Tasks that a busy worker fetched, while another one that reads the same queue has nothing to do."""
    for name, tasks in grouped(case.in_places("reserved")).items():
        busy = answered(case, name)
        if busy is None or not _is_full(case, busy):
            continue
        queues = {task.task_id: task.queue for task in busy.tasks}
        idle = [worker for worker in case.consumers.workers if _is_idle(case, worker)]
        hoarded = [task for task in tasks if any(queues.get(task) in worker.queues for worker in idle)]
        if hoarded:
            yield _hoarded(case, busy, hoarded, [plain(worker.hostname) for worker in idle])


def retry_scheduled(case: Case) -> Iterator[Verdict]:
    """Tasks that wait for the time of their next attempt."""
    tasks = {task_id: place for task_id, place in case.scheduled().items() if place.attempt}
    if tasks:
        yield from _timed(case, "retry_scheduled", tasks, "a retry")


def eta_scheduled(case: Case) -> Iterator[Verdict]:
    """Tasks that were sent with an ETA or a countdown."""
    tasks = {task_id: place for task_id, place in case.scheduled().items() if not place.attempt}
    if tasks:
        yield from _timed(case, "eta_scheduled", tasks, either(tasks, "its ETA", "their ETA"))


def queued(case: Case) -> Iterator[Verdict]:
    """Tasks in queues that workers read, or taken by a worker whose slots are full."""
    scheduled = case.scheduled()
    for queue, tasks in case.by_queue().items():
        waiting = [task for task in tasks if task not in scheduled]
        readers = case.consumers.of(queue)
        if waiting and (readers or case.undecided(queue)):
            yield verdict(
                case,
                "queued",
                tasks=waiting,
                summary=f"{tasks_that('wait', waiting)} in queue {plain(queue)}, {_readers(case, queue)}.",
                evidence=where(case, waiting),
                since=case.since,
            )
    for worker, tasks in grouped(case.in_places("reserved")).items():
        yield verdict(
            case,
            "queued",
            tasks=tasks,
            summary=f"{tasks_that('wait', tasks)} for a free slot of worker {plain(worker)}.",
            evidence=where(case, tasks),
            since=case.since,
        )


def _is_full(case: Case, worker: Worker) -> bool:
    """Whether all slots of a worker are taken, none of them just now."""
    active = [task for task in worker.tasks if task.kind == "active"]
    latest = max((task.started_at or 0.0 for task in active), default=0.0)
    busy = (case.consumers.asked_at or 0.0) - latest > _BUSY_SECONDS
    return worker.concurrency is not None and len(active) >= worker.concurrency and busy


def _is_idle(case: Case, worker: Worker) -> bool:
    """Whether a worker says that it has nothing at all; one that only its heartbeat tells of has not said so."""
    return answered(case, worker.hostname) is not None and not worker.tasks


def _hoarded(case: Case, busy: Worker, tasks: list[str], idle: list[str]) -> Verdict:
    active = [task.started_at for task in busy.tasks if task.kind == "active" and task.started_at]
    name, asked_at = plain(busy.hostname), case.consumers.asked_at
    slots = (
        f"the only slot of {name} was"
        if busy.concurrency == 1
        else f"all {busy.concurrency} slots of {name} were"
    )
    running = f", the latest task begun {span((asked_at or 0.0) - max(active))} before" if active else ""
    return verdict(
        case,
        "prefetch_hoarded",
        tasks=tasks,
        summary=f"{tasks_that('wait', tasks)} for a slot of worker {name}, while {listed(idle)} "
        f"{either(idle, 'has', 'have')} nothing to do.",
        evidence=[
            *where(case, tasks),
            f"At {clock(asked_at)} {slots} taken{running}.",
            f"At the same time {listed(idle)}, on the same queue, had no active, reserved or scheduled task.",
        ],
        since=min(active, default=case.since),
    )


def _readers(case: Case, queue: str) -> str:
    readers = case.consumers.of(queue)
    if readers:
        return f"which {listed([plain(reader) for reader in readers])} {either(readers, 'reads', 'read')}"
    if queue in case.consumers.unasked:
        return "and the workers have yet to be asked whether they read it"
    return "whose last reader left just now"


def _timed(case: Case, cause: str, tasks: Mapping[str, Place], what: str) -> Iterator[Verdict]:
    due = max(place.eta for place in tasks.values() if place.eta is not None)
    alive = {message.task_id for message in delivered(case) if message.is_held}
    found = verdict(
        case,
        cause,
        tasks=list(tasks),
        summary=f"{tasks_that('wait', tasks)} for {what}, due {clock(due)}.",
        evidence=where(case, list(tasks)),
        certain=all(task in alive or place.kind != "unacked" for task, place in tasks.items()),
        question=either(tasks, _IS_IT_ALIVE, _ARE_THEY_ALIVE),
        since=min((place.since for place in tasks.values() if place.since), default=case.since),
        recovers_at=due,
    )
    yield replace(found, outcome="late") if case.now > due + SLACK_SECONDS else found


LATE = (prefetch_hoarded,)
RULES = (retry_scheduled, eta_scheduled, queued)
