"""Chords on result backends that do not count as Redis does: results are polled, or asked for once. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.causes import CAUSES
from chordwatch.diagnosis.parts import callback_seen
from chordwatch.diagnosis.verdicts import pasted, verdict
from chordwatch.diagnosis.wording import (
    NAMED,
    clock,
    listed,
    plural,
    reads,
    rest,
    sentence,
    the_callback,
)
from chordwatch.evidence.facts import Unlock
from chordwatch.model import Attempt, HeaderTask, TaskState, Verdict
from chordwatch.text import plain

#: One poll may come before a result that is being stored; this many have come after it.
POLLS = 3
#: Whoever counts the last part joins the results (3 s by default) and sends the callback. Seconds.
_JOINED_AFTER = 10.0
#: A run that ended so leaves no result that ends the polling; a failed or revoked one does.
_WITHOUT_RESULT: frozenset[TaskState] = frozenset({"succeeded", "ignored", "rejected"})
_HOW: dict[TaskState, str] = {
    "succeeded": "succeeded, but its result was not stored (ignore_result?)",
    "ignored": "raised Ignore, which stores no result",
    "rejected": "was rejected, which stores no result",
}


def callback_queue_unconsumed(case: Case) -> Iterator[Verdict]:
    """The task that would send the callback lies in the callback's queue, which none of the workers reads."""
    unlock = _unlock(case)
    if unlock is None or unlock.unacked or not case.consumers.workers:
        return
    if case.consumers.of(unlock.queue) or case.undecided(unlock.queue):
        return
    queue, callback = plain(unlock.queue), the_callback(case.chord)
    workers = listed([f"{plain(w.hostname)} ({reads(w.queues)})" for w in case.consumers.workers])
    yield verdict(
        case,
        "callback_queue_unconsumed",
        tasks=[case.chord.callback.task_id or unlock.task_id],
        summary=f"celery.chord_unlock, which would send {callback}, waits in queue {queue}, which no worker reads.",
        evidence=[
            f"celery.chord_unlock {plain(unlock.task_id)} is in queue {queue}; it goes to the callback's queue.",
            f"Online at {clock(case.consumers.asked_at)}: {workers}.",
        ],
        question=None
        if case.knows_readers(unlock.queue)
        else f"Does a worker that is too busy to answer read the queue {queue}?",
        remedy=CAUSES["callback_queue_unconsumed"].remedy.replace("QUEUE", pasted(unlock.queue)),
        since=case.consumers.missing_since.get(unlock.queue) or case.since,
    )


def unlock_polling(case: Case) -> Iterator[Verdict]:
    """`celery.chord_unlock` asks again and again for a result that will never be there."""
    unlock = _unlock(case)
    if unlock is None or unlock.retries < POLLS or not _is_taken(case, unlock):
        return
    awaited = _awaited(case, unlock)
    ended = {task_id: run for task_id in awaited if (run := _ended_without_result(case, task_id))}
    lost = [task_id for task_id in awaited if task_id in ended or case.lost(task_id)]
    if not lost:
        return
    certain = any(task_id in ended for task_id in lost)
    lines = [_line(case, task_id, ended.get(task_id)) for task_id in lost[:NAMED]]
    yield verdict(
        case,
        "unlock_polling",
        tasks=lost,
        summary=f"celery.chord_unlock has asked {unlock.retries + 1:,} times for {plural(len(lost), 'result')} "
        f"that will not come; {the_callback(case.chord)} is never sent.",
        evidence=[
            (
                f"celery.chord_unlock {plain(unlock.task_id)} polls {plural(len(unlock.header), 'result')} and is at "
                f"retry {unlock.retries:,}, {_bound(unlock)}."
            ),
            f"Not there yet: {plural(len(awaited), 'result')}.",
            *lines,
            *rest(len(lost)),
        ],
        certain=certain,
        question=f"Does a worker that is too busy to answer run {case.described(lost[0])}?",
        remedy=CAUSES["unlock_polling"].remedy.replace("UNLOCK", pasted(unlock.task_id)),
        since=min((run.finished_at for run in ended.values() if run.finished_at), default=case.since),
    )


def counter_overrun(case: Case) -> Iterator[Verdict]:
    """A ChordCounter came to zero and is gone, and the callback was not sent: not every result was there."""
    keys, recorded = case.keys, case.recorded
    if not (case.is_open and case.instrumented_only and keys and recorded and keys.counting == "counter"):
        return
    if keys.remaining is not None or callback_seen(case):
        return
    known = recorded.chord
    ended = known.size is not None and known.counted >= known.size
    if not ended or case.since is None or case.now - case.since < _JOINED_AFTER:
        return
    # A part that ran twice is the other way to come here, and has its own words.
    if any(sum(run.finished_at is not None for run in task.attempts) > 1 for task in known.header):
        return
    yield verdict(
        case,
        "counter_overrun",
        tasks=[known.callback.task_id] if known.callback.task_id else [],
        summary=f"All parts have ended and the chord's counter is used up, but {the_callback(case.chord)} was not "
        "sent: a result may not have been stored.",
        evidence=[
            f"{known.counted:,} of {known.size:,} parts have ended, the last at {clock(case.since)}.",
            "The ChordCounter of the chord is gone, and no worker has sent the callback since.",
        ],
        question="Has a task of the header ignore_result=True, or did a worker die while it sent the callback?",
        since=case.since,
    )


def _unlock(case: Case) -> Unlock | None:
    """Return the chord's poll, where the results that it polls can be read."""
    keys = case.keys
    return keys.unlock if keys and case.is_open and keys.counting == "polling" else None


def _is_taken(case: Case, unlock: Unlock) -> bool:
    """Whether somebody polls: a worker holds the task, or reads its queue."""
    return unlock.unacked or bool(case.consumers.of(unlock.queue))


def _awaited(case: Case, unlock: Unlock) -> list[str]:
    stored = {part.task_id for part in case.keys.parts} if case.keys else set()
    return [task_id for task_id in unlock.header if task_id not in stored]


def _ended_without_result(case: Case, task_id: str) -> Attempt | None:
    """Return the recorded run with which the task ended without a result; in two looks, or a while ago."""
    task: HeaderTask | None = next(
        (t for t in (case.recorded.chord.header if case.recorded else ()) if t.task_id == task_id), None
    )
    run = task.attempts[-1] if task and task.attempts else None
    if run is None or run.state not in _WITHOUT_RESULT or run.finished_at is None:
        return None
    # A worker stores the result before it tells; clocks differ by a little.
    return run if case.lost(task_id) or case.now - run.finished_at > POLLS else None


def _line(case: Case, task_id: str, run: Attempt | None) -> str:
    if run is None:
        return sentence(f"{case.described(task_id)} is in no queue and at no worker, in two looks.")
    how = _HOW[run.state]
    return sentence(f"{case.described(task_id)} {how}, at {clock(run.finished_at)}.")


def _bound(unlock: Unlock) -> str:
    return "without a bound" if unlock.max_retries is None else f"of {unlock.max_retries:,}, then it gives up"


RULES = (callback_queue_unconsumed, counter_overrun)
LOOPING = (unlock_polling,)
