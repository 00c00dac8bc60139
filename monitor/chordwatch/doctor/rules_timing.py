"""Hazards of time: what lives shorter than what depends on it. Pure; one function per rule, named as the rule."""

from __future__ import annotations

from collections.abc import Iterator

from chordwatch.doctor.facts import Facts, Task
from chordwatch.doctor.finding import Finding
from chordwatch.doctor.wording import seconds, some, tasks
from chordwatch.text import plain

#: From here on a run is called long, in seconds: losing it costs, and who waits behind it notices.
LONG = 60.0
_VISIBILITY = "broker_transport_options.visibility_timeout"


def visibility_timeout_short(facts: Facts) -> Iterator[Finding]:
    """Redis hands a message to a second worker when the first has not acknowledged it within this time."""
    timeout = facts.limits.visibility_timeout
    if timeout is None:
        return
    for reason, needed in _longer_than(timeout, facts):
        yield Finding(
            rule="visibility_timeout_short",
            severity="warning",
            where=_VISIBILITY,
            reason=f"Redis delivers again what is not acknowledged within {seconds(timeout)}, but {reason}. "
            "Such a task runs twice or more; up to Celery 5.6 its chord's callback may fire early.",
            fix=f"Set {_VISIBILITY} in every process to more than {seconds(needed)}, "
            "or make these times shorter.",
        )


def _longer_than(timeout: float, facts: Facts) -> Iterator[tuple[str, float]]:
    """Yield what takes longer than the timeout, in words, and how long that is."""
    # A running task counts only if it is acknowledged at its end.
    late = {task.name: task for task in facts.tasks if task.acks_late}
    limited = {name: limit for name, task in late.items() if (limit := _limit(task)) and limit > timeout}
    if limited:
        most = max(limited.values())
        yield f"the time limit of {some(limited)}, acknowledged late, is up to {seconds(most)}", most
    ran = {name: runs.longest for name, runs in facts.observed.runs.items() if name in late}
    slow = {name: longest for name, longest in ran.items() if longest > timeout}
    if slow:
        most = max(slow.values())
        yield f"{some(slow)}, acknowledged late, ran for up to {seconds(most)}", most
    eta = facts.observed.eta
    if eta and eta.seconds > timeout:
        yield f"{plain(eta.of)} was sent with an ETA or countdown of {seconds(eta.seconds)}", eta.seconds
    delayed = {task.name: task.retry_delay for task in facts.tasks if task.retry_delay > timeout}
    if delayed:
        most = max(delayed.values())
        yield f"{some(delayed)} waits up to {seconds(most)} before a retry (default_retry_delay)", most


def _limit(task: Task) -> float | None:
    return task.time_limit or task.soft_time_limit


def no_time_limit(facts: Facts) -> Iterator[Finding]:
    """A task that blocks for ever holds its chord for ever, and nothing says so."""
    if facts.tasks:
        endless = [task.name for task in facts.tasks if _limit(task) is None]
        who = f"{tasks(len(endless))} ({some(endless)})"
    else:
        limited = {name for name, value in facts.values("task_soft_time_limit") if value}
        endless = [n for n, value in facts.values("task_time_limit") if not value and n not in limited]
        who = f"{some(endless)}: what runs there"
    if endless:
        yield Finding(
            rule="no_time_limit",
            severity="warning",
            where="task_time_limit",
            reason=f"{who} may run for ever. One header task that blocks keeps its chord open without end.",
            fix="Set task_time_limit and, a little shorter, task_soft_time_limit; longer ones per task.",
        )


def early_acks_long_tasks(facts: Facts) -> Iterator[Finding]:
    """Acknowledged before it runs, a task is gone with its worker."""
    slow = {
        task.name: facts.observed.runs[task.name].median
        for task in facts.tasks
        if not task.acks_late
        and task.name in facts.observed.runs
        and facts.observed.runs[task.name].median >= LONG
    }
    if slow:
        yield Finding(
            rule="early_acks_long_tasks",
            severity="warning",
            where="task_acks_late",
            reason=f"{some(slow)} usually runs for up to {seconds(max(slow.values()))} and is acknowledged before it "
            "starts. When its worker is killed meanwhile, nobody runs it again and its chord hangs.",
            fix="Set acks_late=True on these tasks if they may run twice, "
            f"with {_VISIBILITY} above their longest run; else give workers time to finish when they are stopped.",
        )


def chord_expires_short(facts: Facts) -> Iterator[Finding]:
    """The chord's keys live so long after each part; when they are gone the callback never runs."""
    expires, setting = facts.limits.chord_expires, "result_chord_expires"
    if not expires or facts.backend_kind != "redis":
        return
    gap, chord, eta = facts.observed.gap, facts.observed.chord, facts.observed.eta
    if gap and gap.seconds > expires:
        severity, needed = "error", gap.seconds
        reason = f"chord {plain(gap.of)} waited {seconds(gap.seconds)} from one part to the next"
    elif eta and eta.seconds > expires:
        severity, needed = "warning", eta.seconds
        reason = f"{plain(eta.of)} was sent with an ETA or countdown of {seconds(eta.seconds)}"
    elif chord and chord.seconds > expires:
        severity, needed = "warning", chord.seconds
        reason = f"header of {plain(chord.of)} took {seconds(chord.seconds)}"
    else:
        yield from _outlived_by_redelivery(facts, expires)
        return
    yield Finding(
        rule="chord_expires_short",
        severity="error" if severity == "error" else "warning",
        where=setting,
        reason=f"A chord's keys live {seconds(expires)} after its last part, but {reason}. "
        "A chord whose keys expire never runs its callback.",
        fix=f"Set {setting} (Celery 5.7; before that result_expires) to well above {seconds(needed)}, "
        "in producers and workers.",
    )


def _outlived_by_redelivery(facts: Facts, expires: float) -> Iterator[Finding]:
    timeout = facts.limits.visibility_timeout
    if timeout is not None and timeout > expires:
        yield Finding(
            rule="chord_expires_short",
            severity="warning",
            where="result_chord_expires",
            reason=f"A chord's keys live {seconds(expires)} after its last part, but the task of a lost worker comes "
            f"back only after {seconds(timeout)} ({_VISIBILITY}); its chord is gone by then.",
            fix=f"Set result_chord_expires (Celery 5.7; before that result_expires) above {seconds(timeout)}.",
        )


def prefetch_hoarding(facts: Facts) -> Iterator[Finding]:
    """A message that a busy worker holds in advance waits there, while others are idle."""
    slow = {n: runs.median for n, runs in facts.observed.runs.items() if runs.median >= LONG}
    holders = [
        worker.name for worker in facts.answered if _holds_in_advance(worker.prefetch, worker.concurrency)
    ]
    if not facts.answered:
        disabled = {name for name, value in facts.values("worker_disable_prefetch") if value}
        multipliers = facts.values("worker_prefetch_multiplier")
        holders = [name for name, value in multipliers if value != 1 and name not in disabled]
    if slow and holders:
        yield Finding(
            rule="prefetch_hoarding",
            severity="warning",
            where="worker_prefetch_multiplier",
            reason=f"More messages than slots are taken by {some(holders)}, and {some(slow)} usually runs for up to "
            f"{seconds(max(slow.values()))}. Parts wait behind it while other workers are idle.",
            fix="Set worker_prefetch_multiplier = 1 and acks_late=True for long tasks, "
            "or give them a queue and workers of their own.",
        )


def _holds_in_advance(prefetch: int | None, concurrency: int | None) -> bool:
    """Say whether a worker may hold more messages than it runs; a prefetch of 0 is without bound."""
    return prefetch is not None and concurrency is not None and (prefetch == 0 or prefetch > concurrency)


RULES = (
    visibility_timeout_short,
    no_time_limit,
    early_acks_long_tasks,
    chord_expires_short,
    prefetch_hoarding,
)
