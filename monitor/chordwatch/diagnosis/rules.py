"""One function per cause: each looks for its own sign and says nothing without it. Pure.

`diagnose` asks them in the order in which a person should read the answers: what never ends by itself first.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from chordwatch.diagnosis.causes import CAUSES
from chordwatch.diagnosis.wording import (
    NAMED,
    clock,
    listed,
    name_words,
    place_words,
    reads,
    rest,
    sentence,
    tasks_that,
    the_callback,
)
from chordwatch.evidence.facts import Consumers, Place
from chordwatch.model import Chord, HeaderTask, Verdict
from chordwatch.text import plain

#: A queue that lost its last consumer this short ago is one of a rolling restart.
RESTART_SECONDS = 30.0
#: A scheduled task is late when its time has passed by this much.
SLACK_SECONDS = 10.0
#: These have causes of their own.
_NOT_RAISED = ("WorkerLostError", "TaskRevokedError")
_NOT_THE_CALLBACKS = ("ChordError", "NotRegistered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A chord with what bears on it; `now` in Unix seconds."""

    chord: Chord
    places: Mapping[str, Place]
    consumers: Consumers
    now: float

    def waiting_in(self, *kinds: str) -> dict[str, Place]:
        """Return the places of the tasks that are in such a place."""
        return {task_id: place for task_id, place in self.places.items() if place.kind in kinds}

    def described(self, task_id: str) -> str:
        """Return how a person would call the task."""
        if task_id == self.chord.callback.task_id:
            return f"{the_callback(self.chord)} {plain(task_id)}"
        task = next((task for task in self.chord.header if task.task_id == task_id), None)
        if task is None:
            return plain(task_id)
        index = "" if task.index is None else f" (index {task.index})"
        return f"{name_words(task.name)}{index} {plain(task_id)}"


def diagnose(
    chord: Chord, places: Mapping[str, Place], consumers: Consumers, now: float
) -> tuple[Verdict, ...]:
    """Return what holds the chord, the root cause first; nothing where the evidence names no cause."""
    case = Case(chord=chord, places=places, consumers=consumers, now=now)
    return tuple(verdict for rule in RULES for verdict in rule(case))


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


def no_workers(case: Case) -> Iterator[Verdict]:
    """Tasks in queues, and no worker at all that answers."""
    queued = case.waiting_in("queue")
    if not queued or case.consumers.asked_at is None or case.consumers.workers:
        return
    if any(_undecided(case, place.name or "") for place in queued.values()):
        return
    queues = sorted({plain(place.name or "") for place in queued.values()})
    yield _verdict(
        case,
        "no_workers",
        tasks=list(queued),
        summary=f"{tasks_that('wait', queued)} in queue {', '.join(queues)}, and no worker is online.",
        evidence=[
            f"No worker answered an inspect at {clock(case.consumers.asked_at)}.",
            *_where(case, list(queued)),
        ],
        question="Does a worker run that is too busy to answer (solo or gevent pool), or under another "
        "control_exchange?",
        since=_since(case),
    )


def header_failed(case: Case) -> Iterator[Verdict]:
    """A counted part raised: Celery gives the callback a ChordError when all parts are counted."""
    failed = [task for task in case.chord.header if _raised(task)]
    if not failed or case.chord.state == "succeeded":
        return
    first = failed[0]
    ends = "the callback will not run" if case.chord.state == "open" else "the callback did not run"
    yield _verdict(
        case,
        "header_failed",
        tasks=[task.task_id for task in failed if task.task_id],
        summary=f"{_named(first)} failed with {plain(first.error or 'an error', 120)}; {ends}.",
        evidence=[
            sentence(
                f"{case.described(task.task_id or '')} ended with {plain(task.error or 'an error', 200)}."
            )
            for task in failed[:NAMED]
        ]
        + rest(len(failed)),
        since=min((task.finished_at for task in failed if task.finished_at), default=None),
    )


def callback_failed(case: Case) -> Iterator[Verdict]:
    """The callback itself raised."""
    callback = case.chord.callback
    error = callback.error or ""
    if callback.state != "failed" or error.startswith(_NOT_THE_CALLBACKS):
        return
    yield _verdict(
        case,
        "callback_failed",
        tasks=[callback.task_id or ""],
        summary=f"{the_callback(case.chord)} failed with {plain(error or 'an error', 120)}.",
        evidence=[f"Its stored result is a failure: {plain(error or 'unreadable', 200)}."],
        since=callback.finished_at,
    )


def retry_scheduled(case: Case) -> Iterator[Verdict]:
    """Tasks that wait for the time of their next attempt."""
    tasks = {task_id: place for task_id, place in _scheduled(case).items() if place.attempt}
    if tasks:
        yield from _timed(case, "retry_scheduled", tasks, "a retry")


def eta_scheduled(case: Case) -> Iterator[Verdict]:
    """Tasks that were sent with an ETA or a countdown."""
    tasks = {task_id: place for task_id, place in _scheduled(case).items() if not place.attempt}
    if tasks:
        yield from _timed(case, "eta_scheduled", tasks, "its ETA" if len(tasks) == 1 else "their ETA")


def queued(case: Case) -> Iterator[Verdict]:
    """Tasks in queues that workers read, or taken by a worker whose slots are full."""
    scheduled = _scheduled(case)
    for queue, tasks in _by_queue(case).items():
        waiting = [task for task in tasks if task not in scheduled]
        readers = case.consumers.of(queue)
        if waiting and (readers or _undecided(case, queue)):
            yield _verdict(
                case,
                "queued",
                tasks=waiting,
                summary=f"{tasks_that('wait', waiting)} in queue {plain(queue)}, {_readers(case, queue)}.",
                evidence=_where(case, waiting),
                since=_since(case),
            )
    for worker, tasks in _grouped(case.waiting_in("reserved")).items():
        yield _verdict(
            case,
            "queued",
            tasks=tasks,
            summary=f"{tasks_that('wait', tasks)} for a free slot of worker {plain(worker)}.",
            evidence=_where(case, tasks),
            since=_since(case),
        )


def header_running(case: Case) -> Iterator[Verdict]:
    """Header tasks that a worker says it runs."""
    callback = case.chord.callback.task_id
    running = {task: place for task, place in case.waiting_in("active").items() if task != callback}
    if running:
        workers = listed(sorted({plain(place.name or "") for place in running.values()}))
        yield _verdict(
            case,
            "header_running",
            tasks=list(running),
            summary=f"{tasks_that('run', running)} on {workers}.",
            evidence=_where(case, list(running)),
            since=min((place.since for place in running.values() if place.since), default=None),
        )


#: What never ends by itself, what ends badly, what ends later, what is well.
RULES: tuple[Callable[[Case], Iterator[Verdict]], ...] = (
    queue_unconsumed,
    callback_queue_unconsumed,
    no_workers,
    header_failed,
    callback_failed,
    retry_scheduled,
    eta_scheduled,
    queued,
    header_running,
)


def _unread(case: Case) -> dict[str, list[str]]:
    """Return the tasks in queues that no worker reads, while there are workers, by queue."""
    if not case.consumers.workers:
        return {}
    queues = _by_queue(case)
    return {q: tasks for q, tasks in queues.items() if not case.consumers.of(q) and not _undecided(case, q)}


def _by_queue(case: Case) -> dict[str, list[str]]:
    return _grouped(case.waiting_in("queue"))


def _grouped(places: Mapping[str, Place]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = defaultdict(list)
    for task_id, place in places.items():
        grouped[place.name or ""].append(task_id)
    return grouped


def _undecided(case: Case, queue: str) -> bool:
    """Whether it is too early to say that nobody reads the queue."""
    return queue in case.consumers.unasked or _restarting(case, queue)


def _readers(case: Case, queue: str) -> str:
    readers = case.consumers.of(queue)
    if readers:
        return f"which {listed([plain(reader) for reader in readers])} reads"
    if queue in case.consumers.unasked:
        return "and the workers have yet to be asked whether they read it"
    return "whose last reader left just now"


def _restarting(case: Case, queue: str) -> bool:
    since, asked_at = case.consumers.missing_since.get(queue), case.consumers.asked_at
    return since is not None and asked_at is not None and asked_at - since < RESTART_SECONDS


def _scheduled(case: Case) -> dict[str, Place]:
    """Return the tasks that a worker holds back until their time, and those on the way to one that reads."""
    held = case.waiting_in("scheduled", "unacked")
    coming = {t: p for t, p in case.waiting_in("queue").items() if case.consumers.of(p.name or "")}
    timed = {t: p for t, p in {**held, **coming}.items() if p.eta is not None}
    # In a queue, an ETA that has passed makes no difference any more.
    return {t: p for t, p in timed.items() if p.kind != "queue" or (p.eta or 0) > case.now}


def _timed(case: Case, cause: str, tasks: Mapping[str, Place], what: str) -> Iterator[Verdict]:
    due = max(place.eta for place in tasks.values() if place.eta is not None)
    verdict = _verdict(
        case,
        cause,
        tasks=list(tasks),
        summary=f"{tasks_that('wait', tasks)} for {what}, due {clock(due)}.",
        evidence=_where(case, list(tasks)),
        certain=all(place.kind != "unacked" for place in tasks.values()),
        question="Is the worker alive that took it? It did not name the task among those it holds back.",
        since=min((place.since for place in tasks.values() if place.since), default=_since(case)),
        recovers_at=due,
    )
    yield replace(verdict, outcome="late") if case.now > due + SLACK_SECONDS else verdict


def _unconsumed(case: Case, cause: str, queue: str, tasks: list[str], what: str) -> Verdict:
    workers = listed([f"{plain(w.hostname)} ({reads(w.queues)})" for w in case.consumers.workers])
    return _verdict(
        case,
        cause,
        tasks=tasks,
        summary=f"{what} in queue {plain(queue)}, which no worker reads.",
        evidence=[*_where(case, tasks), f"Online at {clock(case.consumers.asked_at)}: {workers}."],
        question=f"Does a worker that is too busy to answer read the queue {plain(queue)}?",
        since=case.consumers.missing_since.get(queue) or _since(case),
    )


def _verdict(
    case: Case,
    cause: str,
    *,
    tasks: list[str],
    summary: str,
    evidence: list[str],
    certain: bool | None = None,
    question: str | None = None,
    since: float | None = None,
    recovers_at: float | None = None,
) -> Verdict:
    """Build a verdict of a catalogued cause. With a question and nothing said, it is not certain."""
    entry = CAUSES[cause]
    sure = question is None if certain is None else certain
    return Verdict(
        cause=cause,
        outcome=entry.outcome,
        certain=sure,
        tasks=tuple(tasks),
        summary=sentence(summary),
        evidence=tuple(evidence),
        remedy=entry.remedy.replace("QUEUE", _first_queue(case, tasks)).replace(
            " ID.", f" {_pasted(case.chord.chord_id)}."
        ),
        question=None if sure else question,
        since=since,
        recovers_at=recovers_at,
        docs=entry.docs,
    )


def _where(case: Case, tasks: list[str]) -> list[str]:
    lines = [f"{case.described(task)} is {place_words(case.places[task])}." for task in tasks[:NAMED]]
    return [sentence(line) for line in lines] + rest(len(tasks))


def _named(task: HeaderTask) -> str:
    return (
        f"the task at index {task.index}"
        if task.name is None and task.index is not None
        else name_words(task.name)
    )


def _raised(task: HeaderTask) -> bool:
    return task.counted and task.state == "failed" and not (task.error or "").startswith(_NOT_RAISED)


def _since(case: Case) -> float | None:
    return case.chord.progressed_at or case.chord.opened_at


def _first_queue(case: Case, tasks: list[str]) -> str:
    place = case.places.get(tasks[0]) if tasks else None
    return _pasted(place.name) if place and place.name else "QUEUE"


def _pasted(name: str) -> str:
    """Return a name as it stands in a command that people paste into a shell."""
    return shlex.quote(plain(name))
