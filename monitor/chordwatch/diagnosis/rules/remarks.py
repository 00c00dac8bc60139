"""What is worth knowing of a chord whatever its health: it explains nothing and worsens nothing. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.verdicts import verdict
from chordwatch.diagnosis.wording import NAMED, clock, either, rest, sentence, the_callback
from chordwatch.model import Attempt, HeaderTask, Verdict
from chordwatch.text import plain

#: Clocks of one machine agree; those of two may differ by a minute and more.
_SAME_CLOCK, _OTHER_CLOCK = 5.0, 90.0
#: A run that ended so was meant to be followed by another one of the same attempt: `replace()`, `Reject(requeue=True)`.
_MEANT = frozenset({"ignored", "rejected"})
_Runs = Mapping[str, Sequence[Attempt]]


def duplicate_delivery(case: Case) -> Iterator[Verdict]:
    """A task was started at least twice in the same attempt: its message was delivered again."""
    if case.recorded is None or case.recorded.applied > 1:
        return
    # A loop is a fault of its own.
    loops = {task_id for found in case.found if found.outcome == "looping" for task_id in found.tasks}
    parts = (task for task in case.recorded.chord.header if task.task_id not in loops)
    header = _doubled((task.task_id or "", task.attempts) for task in parts)
    callback_id = case.chord.callback.task_id or ""
    callback = _doubled(() if callback_id in loops else case.recorded.callback_runs.items())
    twice = {**callback, **header}
    if twice:
        yield verdict(
            case,
            "duplicate_delivery",
            # Of a callback of several tasks, the id that the caller holds stands for all of them.
            tasks=[*([callback_id] if callback else ()), *header],
            summary=" ".join([*_callback_words(case, callback), *_header_words(header)]),
            evidence=[_runs_line(case, task_id, runs) for task_id, runs in list(twice.items())[:NAMED]]
            + rest(len(twice))
            + _visibility(case),
            since=min(run.started_at for runs in twice.values() for run in runs[1:] if run.started_at),
        )


def _doubled(tasks: Iterable[tuple[str, Sequence[Attempt]]]) -> _Runs:
    """Return the runs of those tasks that were started at least twice in the same attempt."""
    return {task_id: runs for task_id, attempts in tasks if (runs := _same_attempt(attempts))}


def _callback_words(case: Case, callback: _Runs) -> Iterator[str]:
    if callback:
        runs = max(callback.values(), key=len)
        times = "twice" if len(runs) == 2 else f"{len(runs):,} times"  # noqa: PLR2004  # a word of its own
        happened = "happened" if all(run.finished_at for run in runs) else "may have happened"
        whose = "" if case.chord.callback.task_id in callback else "a task of "
        yield sentence(
            f"{whose}{the_callback(case.chord)} ran {times} without a retry, so its effects {happened} {times}."
        )


def _header_words(header: _Runs) -> Iterator[str]:
    if header:
        tasks = either(header, "1 task was", f"{len(header):,} tasks were")
        messages = either(header, "the message", "their messages")
        yield f"{tasks} started more than once without a retry: the broker delivered {messages} again."


def _same_attempt(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the runs of the attempt that was started most often, if that was twice or more; oldest first."""
    if len(attempts) < 2:  # noqa: PLR2004  # nearly all
        return []
    started: dict[int, list[Attempt]] = defaultdict(list)
    for run in attempts:
        if run.started_at is not None and run.state not in _MEANT:
            started[run.attempt].append(run)
    most = max(started.values(), key=len, default=[])
    return sorted(most, key=lambda run: run.started_at or 0.0) if len(most) > 1 else []


def _runs_line(case: Case, task_id: str, runs: Sequence[Attempt]) -> str:
    starts = [f"at {clock(run.started_at)} on {plain(run.worker or '?')}" for run in runs[:NAMED]]
    return sentence(f"{case.described(task_id)} started {len(runs)} times: {', '.join(starts)}.")


def _visibility(case: Case) -> list[str]:
    timeout = case.limits.visibility_timeout
    return [] if timeout is None else [f"The broker's visibility_timeout is {timeout:,.0f} s."]


def callback_fired_early(case: Case) -> Iterator[Verdict]:
    """The callback began before a header task that it should have waited for."""
    recorded = case.recorded
    if recorded is None or recorded.chord.callback.started_at is None:
        return
    # What a worker that tells nothing ran before cannot be told from what never ran.
    if recorded.applied > 1 or not case.instrumented_only:
        return
    callback, header = recorded.chord.callback, recorded.chord.header
    doubled = any(_same_attempt(task.attempts) for task in header)
    late = [task for task in header if _is_late(task, callback.started_at, callback.worker, doubled=doubled)]
    if late:
        tasks = "1 task" if len(late) == 1 else f"{len(late):,} tasks"
        yield verdict(
            case,
            "callback_fired_early",
            tasks=[task.task_id or "" for task in late],
            summary=f"{the_callback(case.chord)} started before {tasks} of the header had ended: its results are "
            "not whole.",
            evidence=[
                f"The callback started at {clock(callback.started_at)} on {plain(callback.worker or '?')}.",
                *(_late_line(case, task) for task in late[:NAMED]),
                *rest(len(late)),
            ],
            since=callback.started_at,
        )


def _is_late(task: HeaderTask, fired_at: float | None, worker: str | None, *, doubled: bool) -> bool:
    """Whether the task, run once, began after the callback; or ended after it, where another was counted twice.

    The end alone is no sign: a task ends after Celery counted it, and what it does then may take long.
    """
    runs = [run for run in task.attempts if run.started_at is not None]
    if fired_at is None or len(runs) != 1:
        return False
    moment = runs[0].finished_at if doubled else runs[0].started_at
    slack = _SAME_CLOCK if runs[0].worker == worker else _OTHER_CLOCK
    return moment is not None and moment > fired_at + slack


def _late_line(case: Case, task: HeaderTask) -> str:
    return sentence(
        f"{case.described(task.task_id or '')} ran on {plain(task.worker or '?')} from {clock(task.started_at)} "
        f"to {clock(task.finished_at)}."
    )


def chord_reapplied(case: Case) -> Iterator[Verdict]:
    """The same chord, with the same ids, was sent more than once: Celery runs it as one."""
    recorded = case.recorded
    if recorded and recorded.applied > 1:
        yield verdict(
            case,
            "chord_reapplied",
            tasks=[],
            summary=f"The same chord was sent {recorded.applied} times with the same ids; its tasks run each time, "
            "its callback once.",
            evidence=[
                f"{recorded.applied} dispatches of the group id {plain(case.chord.chord_id)} were recorded."
            ],
            since=case.chord.opened_at,
        )


RULES = (duplicate_delivery, callback_fired_early, chord_reapplied)
