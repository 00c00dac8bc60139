"""Messages that a worker took and has not acknowledged: it is dead, or holds them over a rate limit. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from chordwatch.diagnosis.case import RESTART_SECONDS, Case
from chordwatch.diagnosis.delivered import Delivered, asked_after, delivered
from chordwatch.diagnosis.taken import ENDED, End
from chordwatch.diagnosis.verdicts import verdict, where
from chordwatch.diagnosis.wording import clock, either, listed, name_words, span, tasks_that
from chordwatch.model import Verdict
from chordwatch.text import plain


def redelivery_pending(case: Case) -> Iterator[Verdict]:
    """Messages whose worker is no more: Redis delivers them again after the visibility timeout."""
    dead = [message for message in delivered(case) if message.end and _holds_no_more(case, message.end)]
    nobodys = [message for message in delivered(case) if _is_nobodys(case, message)]
    if dead:
        ends = sorted({message.end.text for message in dead if message.end})
        yield _pending(case, dead, "at a worker that is no more", ends, None)
    if nobodys:
        names = listed([plain(worker.hostname) for worker in case.consumers.workers])
        who = f"None of {names} named" if names else "No worker answered, so none named"
        them = either(nobodys, "it", "them")
        line = f"{who} {them} when asked at {clock(case.consumers.asked_at)}."
        question = f"Does the worker live that took {them}, and is it too busy to answer?"
        yield _pending(case, nobodys, f"and no worker says that it holds {them}", [line], question)


def _holds_no_more(case: Case, end: End) -> bool:
    """Whether the worker is gone for good; one that shuts down gives back what it has after its goodbye."""
    left_now = end.fate == "gone" and end.at is not None and case.now - end.at < RESTART_SECONDS
    return end.fate in ENDED and not left_now


def rate_limited(case: Case) -> Iterator[Verdict]:
    """Messages that a living worker holds without naming them, as it does with those over a rate limit."""
    found: dict[str, list[Delivered]] = defaultdict(list)
    for message in delivered(case):
        if _may_be_limited(case, message) and _is_kept_back(case, message):
            found[message.taken.worker if message.taken else ""].append(message)
    for worker, messages in found.items():
        yield _limited(case, worker, messages)


def _pending(
    case: Case, messages: list[Delivered], how: str, lines: list[str], question: str | None
) -> Verdict:
    tasks, timeout = [message.task_id for message in messages], case.limits.visibility_timeout
    since = [message.place.since for message in messages if message.place.since is not None]
    recovers = None
    if timeout is not None and since:
        recovers = max(max(since) + timeout, *(message.place.eta or 0.0 for message in messages))
    they_are = either(tasks, "it is", "they are")
    when = f"; {they_are} delivered again after {clock(recovers)}" if recovers else ""
    return verdict(
        case,
        "redelivery_pending",
        tasks=tasks,
        summary=f"{tasks_that('wait', tasks)} unacknowledged, {how}{when}.",
        evidence=[
            *where(case, tasks),
            *lines,
            *([] if timeout is None else [f"The broker's visibility_timeout is {span(timeout)}."]),
        ],
        question=question,
        since=min(since, default=case.since),
        recovers_at=recovers,
    )


def _is_nobodys(case: Case, message: Delivered) -> bool:
    """Whether no worker names the message that was asked after its delivery, and no ETA or rate limit explains that."""
    silent = message.end is None or message.end.fate == "silent"
    due = message.place.eta is None or message.place.eta <= case.now
    return silent and due and asked_after(case, message) and message.name not in (case.rate_limits or {})


def _may_be_limited(case: Case, message: Delivered) -> bool:
    limits = case.rate_limits
    return message.place.eta is None and (limits is None or message.name in limits)


def _is_kept_back(case: Case, message: Delivered) -> bool:
    """Whether a worker has the message, as it told or as only it can, and does not name it."""
    since = message.place.since
    if since is None:
        return False
    if message.is_held and message.taken and not message.taken.started:
        life = case.lives[message.taken.worker][-1]
        return life.beat_after(since) and message.task_id not in (*life.active, *life.reserved)
    readers = [
        w for w in case.consumers.workers if message.place.name in w.queues and w.started_at is not None
    ]
    there = any((worker.started_at or 0.0) < since for worker in readers)
    return message.end is None and there and asked_after(case, message)


def _limited(case: Case, worker: str, messages: list[Delivered]) -> Verdict:
    tasks, limits = [message.task_id for message in messages], case.rate_limits or {}
    names = sorted({name_words(message.name) for message in messages})
    rates = sorted(
        {f"{name_words(m.name)} {plain(limits[m.name])}" for m in messages if m.name and m.name in limits}
    )
    who = f"worker {plain(worker)}" if worker else "a worker that reads the queue"
    them = either(tasks, "it", "them")
    certain = bool(worker and case.rate_limits)
    return verdict(
        case,
        "rate_limited",
        tasks=tasks,
        summary=f"{tasks_that('wait', tasks)} at {who} until the rate limit of {listed(names)} lets {them} run.",
        evidence=[
            *where(case, tasks),
            f"The {who.removeprefix('a ')} lives and does not name {them} among active, reserved and scheduled tasks."
            if worker
            else f"When asked at {clock(case.consumers.asked_at)}, no worker named {them}.",
            *([f"Rate limits: {listed(rates)}."] if rates else []),
        ],
        question=None if certain else f"Has {names[0]} a rate limit (rate_limit=…)?",
        since=min((m.place.since for m in messages if m.place.since is not None), default=case.since),
    )


LATE = (redelivery_pending,)
WAITING = (rate_limited,)
