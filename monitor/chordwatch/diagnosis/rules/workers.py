"""What stands still because of a worker: it is lost, frozen, reads nothing, or its slots wait for each other. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.taken import (
    ENDED,
    End,
    Fate,
    Taken,
    awaited,
    by_worker,
    end_of,
    frozen,
    last_run,
    taken_by,
)
from chordwatch.diagnosis.verdicts import verdict, where
from chordwatch.diagnosis.wording import NAMED, clock, either, listed, rest, sentence, tasks_that
from chordwatch.model import Verdict
from chordwatch.text import plain

#: How the end of a worker is said in one clause.
_HOW: dict[Fate, str] = {
    "dead": "which died",
    "gone": "which has left",
    "restarted": "which was started anew",
    "silent": "which gives no sign of life",
}
_UNREAD = (
    "The broker's queues could not be read to their end: a message of {them} that waits there is not seen."
)


def worker_lost(case: Case) -> Iterator[Verdict]:
    """Tasks that a worker took, which is no more, and that are nowhere now."""
    for (worker, end), tasks in by_worker(_lost(case)).items():
        certain = _is_certain(case, tasks, end)
        ids = [taken.task_id for taken in tasks]
        yield verdict(
            case,
            "worker_lost",
            tasks=ids,
            summary=f"{subject(case, ids, 'was', 'were')} lost with worker {plain(worker)}, {_HOW[end.fate]}.",
            evidence=[*taken_lines(case, tasks), end.text, _absence(case, ids)],
            certain=certain,
            question=None if certain else _lost_question(case, tasks[0], end),
            since=end.at or case.since,
        )


def cold_shutdown(case: Case) -> Iterator[Verdict]:
    """Tasks that ended as if for a retry, for which there is no message: their worker cancelled them."""
    for task in awaited(case):
        task_id, run = task.task_id or "", last_run(task)
        meta = case.metas.get(task_id)
        if not case.lost(task_id):
            continue
        worker = (run.worker if run else None) or (meta.worker if meta else None)
        cancelled = meta is not None and meta.state == "retrying" and meta.error_type == "Retry"
        if run:
            end = _end_after(case, task_id, worker, run.finished_at)
            if run.state != "retrying" or not (end.fate in ENDED or (cancelled and end.fate != "alive")):
                continue
            lines, sure = [end.text] if end.text else [], end.anew_at is None
        elif meta and meta.state == "retrying":
            lines, sure = [], False
        else:
            continue
        yield _cancelled(case, task_id, worker, lines, certain=cancelled or sure)


def worker_frozen(case: Case) -> Iterator[Verdict]:
    """Tasks at a worker that beats no more but is still connected; or, of one without heartbeat, that is silent."""
    for (worker, end), tasks in by_worker(_at_frozen(case)).items():
        certain = end.fate == "frozen" and end.anew_at is None
        ids = [taken.task_id for taken in tasks]
        recovers = _redelivered_at(case, worker, ids) if certain else None
        does = "does not go on" if certain else "may be frozen"
        yield verdict(
            case,
            "worker_frozen",
            tasks=ids,
            summary=f"{subject(case, ids, 'is', 'are')} held by worker {plain(worker)}, which {does}.",
            evidence=[*taken_lines(case, tasks), end.text],
            question=None if certain else f"Does the main process of worker {plain(worker)} still exist?",
            since=end.at or case.since,
            recovers_at=recovers,
            outcome="late" if recovers else None,
        )
    yield from _frozen_readers(case)


def worker_not_consuming(case: Case) -> Iterator[Verdict]:
    """Tasks in a queue that nobody reads, while a worker is online that reads nothing at all."""
    workers = case.consumers.workers
    idle = [worker for worker in workers if not worker.queues]
    for queue, tasks in case.by_queue().items():
        if not idle or case.consumers.of(queue) or case.undecided(queue):
            continue
        if len(idle) < len(workers) and queue not in case.consumers.missing_since:
            continue  # nothing says that it was one of these that read it
        names = listed([plain(worker.hostname) for worker in idle])
        running = sum(task.kind == "active" for worker in idle for task in worker.tasks)
        certain = len(idle) == len(workers) and not running
        yield verdict(
            case,
            "worker_not_consuming",
            tasks=tasks,
            summary=f"{tasks_that('wait', tasks)} in queue {plain(queue)}, and {names} "
            f"{either(idle, 'is online but reads', 'are online but read')} no queue.",
            evidence=[
                *where(case, tasks),
                f"Asked at {clock(case.consumers.asked_at)}, {names} named no queue to read"
                + (f", and {running:,} running tasks." if running else "."),
            ],
            question=None
            if certain
            else f"{either(idle, 'Is', 'Are')} {names} about to shut down, or "
            f"{either(idle, 'has it', 'have they')} stopped to read {plain(queue)}?",
            since=case.consumers.missing_since.get(queue) or case.since,
        )


def no_workers(case: Case) -> Iterator[Verdict]:
    """Tasks in queues, and no worker at all that answers."""
    read = {queue for queues in case.last_readers.values() for queue in queues}
    places = case.in_places("queue").items()
    queued = {task: place for task, place in places if not read or place.name in read}
    if not queued or case.consumers.asked_at is None or case.consumers.workers:
        return
    read_from = {place.name or "" for place in queued.values()}
    if any(map(case.undecided, read_from)):
        return
    queues = sorted(map(plain, read_from))
    last = [lives[-1] for lives in case.lives.values() if lives]
    certain = bool(last) and all(life.gone or (life.stale and life.connected is False) for life in last)
    beats = [f"{plain(life.node)} at {clock(life.last_beat_at)}" for life in last]
    yield verdict(
        case,
        "no_workers",
        tasks=list(queued),
        summary=f"{tasks_that('wait', queued)} in {either(queues, 'queue', 'queues')} {listed(queues)}, "
        "and no worker is online.",
        evidence=[
            f"No worker answered an inspect at {clock(case.consumers.asked_at)}.",
            *([f"Last heartbeats: {listed(beats)}."] if beats else []),
            *where(case, list(queued)),
        ],
        question=None
        if certain
        else "Does a worker run that is too busy to answer (solo or gevent pool), or under another control_exchange?",
        since=max((life.last_beat_at for life in last), default=case.since),
    )


def subject(case: Case, tasks: list[str], one: str, many: str) -> str:
    """Return the one task, described, or how many there are, with the verb that goes with it."""
    return f"{case.described(tasks[0])} {one}" if len(tasks) == 1 else f"{len(tasks):,} tasks {many}"


def taken_lines(case: Case, tasks: list[Taken]) -> list[str]:
    """Return a line for each of the first tasks that says who took it and when."""
    lines = [
        f"{case.described(taken.task_id)} was {'started' if taken.started else 'received'} by "
        f"{plain(taken.worker)} at {clock(taken.at)}" + (f" (process {taken.pid})." if taken.pid else ".")
        for taken in tasks[:NAMED]
    ]
    return [sentence(line) for line in lines] + rest(len(tasks))


def _lost(case: Case) -> Iterator[tuple[Taken, End]]:
    for task in awaited(case):
        place = case.place(task.task_id)
        unseen = place.kind == "unknown" and task.task_id in case.places
        taken = taken_by(case, task) if place.kind in ("nowhere", "unknown") else None
        if taken is None or not (case.lost(task.task_id) or unseen):
            continue
        end = end_of(case, taken)
        ended = end.fate in ENDED or (end.fate == "silent" and case.lost(task.task_id))
        if unseen and not case.lost(task.task_id) and _may_be_back(case, taken, end):
            continue
        if ended and _beaten_since(case, taken):
            yield taken, end


def _may_be_back(case: Case, taken: Taken, end: End) -> bool:
    """Whether the message may be in the part of the queues that a look had no time for.

    Until a task starts its message is not acknowledged, and a worker that shuts down gives back what is not.
    """
    return not case.consumers.inferred and (end.fate == "gone" or not taken.started)


def _beaten_since(case: Case, taken: Taken) -> bool:
    """Whether the worker's present life, if it has one, has beaten since the task was missed, and did not name it.

    Its clock may be a minute behind: then a task that it runs seems to be of the life before.
    """
    lives = case.lives.get(taken.worker, ())
    if not lives or not lives[-1].alive:
        return True
    life, missed = lives[-1], case.nowhere_since.get(taken.task_id)
    return (
        missed is not None
        and life.last_beat_at > missed
        and taken.task_id not in (*life.active, *life.reserved)
    )


def _is_certain(case: Case, tasks: list[Taken], end: End) -> bool:
    """Whether heartbeats told the end, and queues and workers were read to theirs.

    What answers tell is not enough: the task may have ended without a trace before its worker was started anew.
    """
    ended = end.told and end.fate in ENDED and end.anew_at is None
    return ended and all(case.lost(taken.task_id) for taken in tasks)


def _lost_question(case: Case, taken: Taken, end: End) -> str:
    worker, name = plain(taken.worker), case.described(taken.task_id)
    if end.anew_at is not None:
        return f"Did {worker} take {name} before it was started anew by {clock(end.anew_at)}?"
    if end.fate == "silent":
        since = f" since {clock(taken.at)}" if taken.at else ""
        return f"Did the worker {worker} stop or restart{since}, or is it too busy to answer?"
    if end.told:
        return f"Does the broker still hold a message of {name} (task_acks_late)?"
    return f"Did {name} still run when {worker} was started anew at {clock(end.at)}?"


def _absence(case: Case, tasks: list[str]) -> str:
    since = [case.nowhere_since[task] for task in tasks if task in case.nowhere_since]
    if not since:
        return _UNREAD.format(them=either(tasks, "it", "them"))
    which = either(tasks, "it is", "they are")
    return f"Two looks since {clock(max(since))} agree: {which} in no queue, not unacknowledged, and at no worker."


def _at_frozen(case: Case) -> Iterator[tuple[Taken, End]]:
    for task in awaited(case):
        place = case.place(task.task_id)
        taken = taken_by(case, task)
        if place.kind in ("active", "reserved", "scheduled") and place.name and task.task_id:
            started = place.kind == "active"
            taken = Taken(task_id=task.task_id, worker=place.name, started=started, at=place.since)
        if taken is None or place.kind == "queue":
            continue
        end = end_of(case, taken)
        # A silent worker without heartbeat is as likely dead: that stands before this.
        silent = end.fate == "silent" and place.kind == "nowhere" and case.lost(task.task_id)
        if end.fate == "frozen" or silent:
            yield taken, end


def _redelivered_at(case: Case, worker: str, tasks: list[str]) -> float | None:
    """Return when all of them are delivered again, to another worker that lives; None where one is not."""
    timeout, places = case.limits.visibility_timeout, [case.place(task) for task in tasks]
    others = [w for w in case.consumers.workers if w.hostname != worker]
    if timeout is None or any(place.kind != "unacked" or place.since is None for place in places):
        return None
    if not all(any(place.name in other.queues for other in others) for place in places):
        return None
    return max(place.since or 0.0 for place in places) + timeout


def _frozen_readers(case: Case) -> Iterator[Verdict]:
    """Tasks in queues that only frozen workers read."""
    last = [lives[-1] for lives in case.lives.values() if lives and frozen(lives[-1])]
    for queue, tasks in case.by_queue().items():
        readers = [life for life in last if queue in life.queues]
        if not readers or case.consumers.asked_at is None or case.consumers.of(queue):
            continue
        names = listed([plain(life.node) for life in readers])
        yield verdict(
            case,
            "worker_frozen",
            tasks=tasks,
            summary=f"{tasks_that('wait', tasks)} in queue {plain(queue)}, which only {names} "
            f"{either(readers, 'reads', 'read')}, and nothing of that goes on.",
            evidence=[
                *where(case, tasks),
                *(
                    f"The last heartbeat of {plain(life.node)} came at {clock(life.last_beat_at)}, "
                    "but its connection to the store is there."
                    for life in readers[:NAMED]
                ),
            ],
            since=max(life.last_beat_at for life in readers),
        )


def _end_after(case: Case, task_id: str, worker: str | None, at: float | None) -> End:
    if not worker:
        return End(fate="alive")
    return end_of(case, Taken(task_id=task_id, worker=worker, started=True, at=at))


def _cancelled(case: Case, task_id: str, worker: str | None, lines: list[str], *, certain: bool) -> Verdict:
    name = plain(worker) if worker else "its worker"
    return verdict(
        case,
        "cold_shutdown",
        tasks=[task_id],
        summary=f"{case.described(task_id)} was cancelled when {name} shut down cold; nothing will run it again.",
        evidence=[
            sentence(
                f"{case.described(task_id)} ended as if for a retry, and no message of that retry exists."
            ),
            *lines,
            _absence(case, [task_id]),
        ],
        certain=certain,
        question=f"Was {name} stopped with SIGQUIT, or with a second SIGINT or SIGTERM, while it ran the task?",
        since=case.nowhere_since.get(task_id),
    )


RULES = (worker_lost, worker_frozen, cold_shutdown, worker_not_consuming, no_workers)
