"""Slots of pools that wait for what can never come. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.rules.workers import subject
from chordwatch.diagnosis.taken import SLACK_SECONDS, answered
from chordwatch.diagnosis.verdicts import verdict, where
from chordwatch.diagnosis.wording import NAMED, clock, either, listed, name_words, rest, sentence, span
from chordwatch.evidence.facts import Message, Worker, WorkerTask
from chordwatch.model import Verdict
from chordwatch.text import plain

#: A task that has sent another one and is about to end looks for so long like one that waits for it. Seconds.
_WAITING_SECONDS = 10.0


def pool_deadlock(case: Case) -> Iterator[Verdict]:
    """A running task sent another one that no slot is free for: all are taken by tasks in the same position."""
    stuck = {task: child for task in case.in_places("active") if (child := _without_slot(case, task))}
    if stuck:
        yield _deadlock(case, stuck)
    else:
        yield from _strange_deadlock(case)


def _deadlock(case: Case, stuck: Mapping[str, Message]) -> Verdict:
    tasks = list(stuck)
    task_id, child = next(iter(stuck.items()))
    return verdict(
        case,
        "pool_deadlock",
        tasks=tasks,
        summary=f"{subject(case, tasks, 'runs', 'run')} and sent another task each, for which no slot can become free."
        if len(tasks) > 1
        else f"{case.described(task_id)} runs and sent {name_words(child.name)}, for which no slot can become free.",
        evidence=[
            *where(case, tasks),
            *(_child_line(sender, message) for sender, message in list(stuck.items())[:NAMED]),
            _slots_line(case, child.queue),
        ],
        question=f"Does {case.described(task_id)} wait for the result of {name_words(child.name)} (.get())?",
        since=min((place.since for task in tasks if (place := case.place(task)).since), default=case.since),
    )


def _strange_deadlock(case: Case) -> Iterator[Verdict]:
    """Of a chord whose missing parts nobody can name: any task at a worker may be one, also one without a slot."""
    if not case.is_open or all(gap.task_id for gap in case.chord.missing):
        return
    for worker in case.consumers.workers:
        for task in worker.tasks:
            if task.kind != "active" or task.task_id in case.places or task.started_at is None:
                continue
            usual = max(_WAITING_SECONDS, case.usual.get(task.name or "", 0.0))
            children = case.children.get(task.task_id, ()) if case.now - task.started_at >= usual else ()
            if child := next((child for child in children if _blocked(case, child)), None):
                yield _strange(case, worker, task, child)


def _strange(case: Case, worker: Worker, task: WorkerTask, child: Message) -> Verdict:
    who = f"{name_words(task.name)} {plain(task.task_id)}"
    return verdict(
        case,
        "pool_deadlock",
        tasks=[task.task_id],
        summary=f"{who} runs and sent {name_words(child.name)}, for which no slot can become free; "
        "it may be a part of this chord.",
        evidence=[
            f"{who} is running on {plain(worker.hostname)} since {clock(task.started_at)}.",
            _child_line(task.task_id, child),
            _slots_line(case, child.queue),
        ],
        question=f"Is {who} a part of this chord, and does it wait for {name_words(child.name)} (.get())?",
        since=task.started_at,
    )


def _child_line(sender: str, message: Message) -> str:
    return (
        f"{name_words(message.name)} {plain(message.task_id)}, sent by {plain(sender)}, has not begun "
        f"(queue {plain(message.queue)})."
    )


def _slots_line(case: Case, queue: str) -> str:
    readers = _readers(case, queue)
    slots = sum(worker.concurrency or 0 for worker in readers)
    names = listed([plain(worker.hostname) for worker in readers])
    which = f"{names}, which {either(readers, 'reads', 'read')} queue {plain(queue)},"
    if slots == 1:
        return f"The only slot of {which} is taken by a task that has sent such a task."
    return f"All {slots:,} slots of {which} are taken by tasks that have sent such a task."


def join_blocked(case: Case) -> Iterator[Verdict]:
    """All parts are counted, and the task that counted the last still gathers the results of a complex header."""
    callback, keys = case.chord.callback, case.keys
    if not case.is_open or not case.complete or keys is None or not keys.members or keys.claim == "done":
        return
    if case.place(callback.task_id).kind not in ("nowhere", "unknown") or callback.state not in _NOT_SENT:
        return
    held = dict(_still_running(case))
    if not held:
        return
    tasks = list(held)
    workers = sorted({plain(worker) for worker, _ in held.values()})
    yield verdict(
        case,
        "join_blocked",
        tasks=[*tasks, *([callback.task_id] if callback.task_id else [])],
        summary=f"All {case.chord.counted:,} parts are counted, but {listed(workers)} still "
        f"{either(workers, 'gathers', 'gather')} their results: one of them is not stored.",
        evidence=[
            sentence(
                f"{case.described(task)} is counted and still runs on {plain(worker)} at {clock(seen_at)}, "
                f"{span(seen_at - (case.since or seen_at))} after the last part came."
            )
            for task, (worker, seen_at) in list(held.items())[:NAMED]
        ]
        + rest(len(held))
        + [
            "The header is complex: a saved group lists its tasks, and all their results are fetched one by one."
        ],
        since=case.since,
    )


_NOT_SENT = ("unknown", "published")


def _without_slot(case: Case, task_id: str) -> Message | None:
    """Return the task that this one sent and that finds no slot, unless this one runs no longer than is usual."""
    place, task = case.place(task_id), case.task(task_id)
    name = task.name if task else case.chord.callback.name
    usual = max(_WAITING_SECONDS, case.usual.get(name or "", 0.0))
    if place.since is None or case.now - place.since < usual:
        return None
    return next((child for child in case.children.get(task_id, ()) if _blocked(case, child)), None)


def _blocked(case: Case, child: Message) -> bool:
    readers = _readers(case, child.queue)
    return bool(readers) and all(_full_of_parents(case, worker) for worker in readers)


def _readers(case: Case, queue: str) -> list[Worker]:
    return [worker for worker in case.consumers.workers if queue in worker.queues]


def _full_of_parents(case: Case, worker: Worker) -> bool:
    active = [task.task_id for task in worker.tasks if task.kind == "active"]
    full = answered(case, worker.hostname) and worker.concurrency and len(active) >= worker.concurrency
    return bool(full) and all(case.children.get(task_id) for task_id in active)


def _still_running(case: Case) -> Iterator[tuple[str, tuple[str, float]]]:
    """Yield the counted parts that a worker runs long after the last part came: worker and time of that sight."""
    counted = {task.task_id for task in case.chord.header if task.counted and task.task_id}
    came = case.since
    if came is None:
        return
    for lives in case.lives.values():
        life = lives[-1]
        if life.alive and life.last_beat_at > came + SLACK_SECONDS:
            yield from ((task, (life.node, life.last_beat_at)) for task in life.active if task in counted)
    asked_at = case.consumers.asked_at
    if asked_at is None or asked_at <= came + SLACK_SECONDS:
        return
    for worker in case.consumers.workers:
        for held in worker.tasks:
            if held.kind == "active" and held.task_id in counted:
                yield held.task_id, (worker.hostname, asked_at)


RULES = (pool_deadlock, join_blocked)
