"""What ends in an error. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.verdicts import verdict
from chordwatch.diagnosis.wording import (
    NAMED,
    clock,
    name_words,
    rest,
    sentence,
    the_callback,
)
from chordwatch.evidence.facts import TaskMeta
from chordwatch.model import HeaderTask, Verdict
from chordwatch.text import plain

_CHILD_LOST = "WorkerLostError"
_EXPIRED = "TaskRevokedError: expired"
#: These have causes of their own.
_NOT_RAISED = (_CHILD_LOST, "TaskRevokedError")
_NOT_THE_CALLBACKS = ("ChordError", "NotRegistered")
#: How Celery reports that it could not send the callback, or not call it.
_NOT_SENT = "ChordError: Callback error: "
#: A callback that could not be sent fails when the chord is done with; one that is refused, when a worker takes it.
_AT_ONCE, _TAKEN_WITHIN = 3.0, 10.0


def header_failed(case: Case) -> Iterator[Verdict]:
    """A counted part raised: Celery gives the callback a ChordError when all parts are counted."""
    failed = _counted(case, _raised)
    if not failed:
        return
    first = failed[0]
    yield _ended(
        case,
        "header_failed",
        failed,
        f"{_named(first)} failed with {plain(first.error or 'an error', 120)}; {_consequence(case)}.",
    )


def worker_child_lost(case: Case) -> Iterator[Verdict]:
    """The process that ran a part died; the worker survived it and counted the part as failed."""
    lost = _counted(case, lambda task: task.state == "failed" and (task.error or "").startswith(_CHILD_LOST))
    if lost:
        where = f" on {plain(lost[0].worker)}" if lost[0].worker else ""
        yield _ended(
            case,
            "worker_child_lost",
            lost,
            f"The process that ran {_named(lost[0])}{where} died ({_reason(lost[0])}); {_consequence(case)}.",
        )


def header_expired(case: Case) -> Iterator[Verdict]:
    """A part was taken after its `expires`, so it was not run, and is counted as revoked."""
    expired = _counted(case, lambda task: task.state == "revoked" and _is_expired(task.error))
    if expired:
        yield _ended(
            case,
            "header_expired",
            expired,
            f"{_tasks(expired)} expired before a worker took {'it' if len(expired) == 1 else 'them'}; "
            f"{_consequence(case)}.",
        )


def header_revoked(case: Case) -> Iterator[Verdict]:
    """Somebody revoked a part; it is counted as revoked."""
    revoked = _counted(case, lambda task: task.state == "revoked" and not _is_expired(task.error))
    if revoked:
        was = "was" if len(revoked) == 1 else "were"
        ended = "terminated" if "terminated" in (revoked[0].error or "") else "revoked"
        yield _ended(
            case, "header_revoked", revoked, f"{_tasks(revoked)} {was} {ended}; {_consequence(case)}."
        )


def callback_failed(case: Case) -> Iterator[Verdict]:
    """The callback itself raised."""
    callback = case.chord.callback
    error = callback.error or ""
    if callback.state != "failed" or error.startswith(_NOT_THE_CALLBACKS):
        return
    yield _of_callback(
        case,
        "callback_failed",
        f"{the_callback(case.chord)} failed with {plain(error or 'an error', 120)}.",
        f"Its stored result is a failure: {plain(error or 'unreadable', 200)}.",
    )


def callback_signature_mismatch(case: Case) -> Iterator[Verdict]:
    """The callback cannot take the list of results, so Celery never published it."""
    error = _unsent(case)
    if error and error.startswith("TypeError"):
        yield _of_callback(
            case,
            "callback_signature_mismatch",
            f"{the_callback(case.chord)} cannot be called with the list of results: {plain(error, 120)}.",
            f"Its stored result is {plain(_NOT_SENT + error, 240)}.",
        )


def callback_publish_refused(case: Case) -> Iterator[Verdict]:
    """The callback could not be published."""
    error = _unsent(case)
    if error and not error.startswith("TypeError"):
        yield _of_callback(
            case,
            "callback_publish_refused",
            f"{the_callback(case.chord)} could not be published: {plain(error, 120)}.",
            f"Its stored result is {plain(_NOT_SENT + error, 240)}.",
        )


def callback_unregistered(case: Case) -> Iterator[Verdict]:
    """The worker that received the callback does not know its name."""
    callback, error = case.chord.callback, _callback_error(case)
    if error.startswith("NotRegistered"):
        where = f"worker {plain(callback.worker)}" if callback.worker else "the worker that received it"
        yield _of_callback(
            case,
            "callback_unregistered",
            f"{the_callback(case.chord)} is not registered on {where}.",
            f"Its stored result is {plain(error, 240)}.",
        )


def callback_revoked(case: Case) -> Iterator[Verdict]:
    """The callback was revoked, or expired: it will not run, whatever the header does."""
    callback = case.chord.callback
    if callback.state == "revoked":
        revoked = "is revoked" if case.chord.state == "open" else "was revoked"
        ended = "has expired" if _is_expired(callback.error) else revoked
        yield _of_callback(
            case,
            "callback_revoked",
            f"{the_callback(case.chord)} {ended}: it does not run.",
            f"Its stored result is {plain(callback.error or 'TaskRevokedError', 240)}.",
        )


def stray_callback(case: Case) -> TaskMeta | None:
    """Return the failed result that may be the callback's, of a chord whose callback nobody knows.

    Celery stores it without a group at the moment at which it gives up, or when a worker refuses the callback.
    """
    keys = case.keys
    if not (case.is_open and keys and keys.dispatched_at is not None) or case.chord.callback.task_id:
        return None
    if case.nameless_since is None:
        return None  # it may run, or wait
    found = [meta for meta in case.strays if _is_near(meta, keys.dispatched_at)]
    return found[0] if len(found) == 1 else None


def _is_near(meta: TaskMeta, dispatched_at: float) -> bool:
    later = (meta.finished_at or 0.0) - dispatched_at
    if (meta.error or "").startswith(_NOT_SENT):
        return abs(later) <= _AT_ONCE
    return meta.error_type == "NotRegistered" and -_AT_ONCE <= later <= _TAKEN_WITHIN


def _counted(case: Case, ended: Callable[[HeaderTask], bool]) -> list[HeaderTask]:
    """Return the counted parts that ended so; none of a chord that succeeded all the same."""
    if case.chord.state == "succeeded":
        return []
    return [task for task in case.chord.header if task.counted and ended(task)]


def _raised(task: HeaderTask) -> bool:
    return task.state == "failed" and not (task.error or "").startswith(_NOT_RAISED)


def _is_expired(error: str | None) -> bool:
    return (error or "").startswith(_EXPIRED)


def _consequence(case: Case) -> str:
    return f"the callback {'will' if case.chord.state == 'open' else 'did'} not run"


def _reason(task: HeaderTask) -> str:
    return plain((task.error or "").removeprefix(f"{_CHILD_LOST}: ") or "without a reason", 120)


def _named(task: HeaderTask) -> str:
    return (
        f"the task at index {task.index}"
        if task.name is None and task.index is not None
        else name_words(task.name)
    )


def _tasks(tasks: list[HeaderTask]) -> str:
    return "1 task of the header" if len(tasks) == 1 else f"{len(tasks):,} tasks of the header"


def _ended(case: Case, cause: str, tasks: list[HeaderTask], summary: str) -> Verdict:
    return verdict(
        case,
        cause,
        tasks=[task.task_id for task in tasks if task.task_id],
        summary=summary,
        evidence=[_end_line(case, task) for task in tasks[:NAMED]] + rest(len(tasks)),
        since=min((task.finished_at for task in tasks if task.finished_at), default=None),
    )


def _end_line(case: Case, task: HeaderTask) -> str:
    where = f" on {plain(task.worker)}" if task.worker else ""
    when = f" at {clock(task.finished_at)}" if task.finished_at else ""
    return sentence(
        f"{case.described(task.task_id or '')} ended{where}{when} with {plain(task.error or 'an error', 200)}."
    )


def _unsent(case: Case) -> str | None:
    """Return why Celery could not send the callback."""
    error = _callback_error(case)
    return (error.removeprefix(_NOT_SENT) or "an error") if error.startswith(_NOT_SENT) else None


def _callback_error(case: Case) -> str:
    callback, stray = case.chord.callback, stray_callback(case)
    if callback.state == "failed":
        return callback.error or ""
    return (stray.error or "") if stray else ""


def _of_callback(case: Case, cause: str, summary: str, evidence: str) -> Verdict:
    callback, stray = case.chord.callback, stray_callback(case)
    task_id = stray.task_id if stray else callback.task_id
    ended = stray.finished_at if stray else callback.finished_at
    lines = [f"It ended at {clock(ended)}."] if ended else []
    if stray and case.keys:
        lines.append(
            f"The chord was done with at {clock(case.keys.dispatched_at)}; the result {plain(stray.task_id)} names "
            "no chord."
        )
    return verdict(
        case,
        cause,
        tasks=[task_id] if task_id else [],
        summary=summary,
        evidence=[evidence, *lines],
        question=f"Is {plain(stray.task_id)} the callback of this chord?" if stray else None,
        since=ended,
    )


RULES = (
    header_failed,
    worker_child_lost,
    header_expired,
    header_revoked,
    callback_failed,
    callback_signature_mismatch,
    callback_publish_refused,
    callback_unregistered,
    callback_revoked,
)
