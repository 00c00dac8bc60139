"""Alerts on what happened in a time that has passed: wrong results, failures, retries, lost records.

Where a number is expected it is counted in the recording, at times when the window begins and ends at a sample.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.alerts.case import (
    ALERTS,
    CAUSES,
    DASHBOARD,
    Alert,
    Case,
    Check,
    evaluated,
    firing,
    one,
    quiet,
    silent,
    two_jobs,
    two_monitors,
)
from tests.alerts.cases.monitor import GONE
from tests.alerts.timeline import Timeline, recorded

#: What a check keeps clear of a change, in seconds.
CLEAR = 30.0
#: Seconds for which each is counted.
WRONG_WINDOW, FAILURE_WINDOW, RETRY_WINDOW, DROPPED_WINDOW = 3600.0, 1800.0, 600.0, 900.0
REPEATS, FINISHED = "celery_chord_callback_repeats_total", "celery_chord_finished_total"
RETRIES, HEADER = "celery_chord_retries_total", "celery_chord_header_tasks_total"
DROPPED = "chordwatch_records_dropped_total"


WRONG = Alert(
    name="CeleryChordWrongResult",
    labels={"severity": "critical", "callback": "project.collect", "cause": "duplicate_delivery"},
    summary="1 chord has a wrong result with callback project.collect: duplicate_delivery",
    description=(
        "Within 1 hour the callback project.collect ran twice in 1 chord: "
        "check what it did, because nothing failed."
    ),
    runbook=f"{CAUSES}#duplicate_delivery",
    dashboard=f"{DASHBOARD}/stuck?callback=project.collect&cause=duplicate_delivery",
)


def failing(timeline: Timeline, seconds: float) -> Alert:
    """Return the alert on the chords that failed up to so many seconds from the start."""
    failed, succeeded = (
        grown(timeline, FINISHED, f'"project.collect",outcome="{outcome}"', seconds, FAILURE_WINDOW)
        for outcome in ("failed", "succeeded")
    )
    share = f"{100 * failed / (failed + succeeded):.4g}%"
    return Alert(
        name="CeleryChordFailureRate",
        labels={"severity": "warning", "callback": "project.collect"},
        summary=f"{share} of the chords with callback project.collect fail",
        description=(
            f"Within the last 30 minutes {share} of the chords that ended with callback project.collect failed: "
            "3 or more."
        ),
        runbook=f"{ALERTS}#celerychordfailurerate",
        dashboard=f"{DASHBOARD}/stuck?callback=project.collect",
    )


def retrying(timeline: Timeline, seconds: float) -> Alert:
    """Return the alert on the runs that ended in a retry up to so many seconds from the start."""
    of_task = 'name="project.try_again"'
    retried = grown(timeline, RETRIES, of_task, seconds, RETRY_WINDOW)
    started = grown(timeline, HEADER, f'event="started",{of_task}', seconds, RETRY_WINDOW)
    share = f"{100 * retried / started:.4g}%"
    return Alert(
        name="CeleryChordRetryStorm",
        labels={"severity": "warning", "callback": "project.collect", "name": "project.try_again"},
        summary=f"{share} of the runs of project.try_again end in a retry with callback project.collect",
        description=(
            f"Within the last 10 minutes {share} of the runs of task project.try_again in chords with callback "
            "project.collect ended in a retry: 20 or more."
        ),
        runbook=f"{ALERTS}#celerychordretrystorm",
        dashboard=f"{DASHBOARD}/stuck?callback=project.collect",
    )


def dropped(timeline: Timeline, seconds: float) -> Alert:
    """Return the alert on the records that were lost up to so many seconds from the start."""
    lost = int(grown(timeline, DROPPED, 'reason="overflow"', seconds, DROPPED_WINDOW))
    return Alert(
        name="ChordwatchDroppingRecords",
        labels={"severity": "warning", "reason": "overflow"},
        summary=f"{lost} records of job chords got lost: overflow",
        description=(
            f"Within the last 15 minutes {lost} records of job chords got lost (overflow): "
            "what chordwatch says of the chords of that time may lack something."
        ),
        runbook=f"{ALERTS}#chordwatchdroppingrecords",
        dashboard=f"{DASHBOARD}/",
    )


def grown(timeline: Timeline, metric: str, having: str, seconds: float, window: float) -> float:
    """Return by how much a counter grew in the window that ends so many seconds from the start."""
    return timeline.value(metric, having, seconds) - timeline.value(metric, having, seconds - window)


def rated(
    scene: str,
    begun: str,
    ended: str,
    window: float,
    alert: Callable[[Timeline, float], Alert],
    *,
    away: tuple[float, ...] = (5, 30, 55),
) -> tuple[Case, ...]:
    """Return the cases of an alert on what happened in a window: it fires at once, and until that has passed.

    `away` are seconds without a monitor at which the number is known; Prometheus estimates one that is no share.
    """
    long = recorded(scene).held(begun, window)
    over, last = long.held("end", window), long.seconds(ended)

    def fires(after: float) -> Check:
        return firing(ended, after, alert(over, evaluated(last + after)))

    def without(after: float) -> Check:
        """Expect what was seen last, so many seconds after the monitor was."""
        return firing("gone", after, alert(long, min(evaluated(last + after), last - 5)))

    full = fires(-5).alerts[0]
    name = full.name
    return (
        Case(
            alert=name,
            kind="fires",
            what=f"at once, and no longer than {window:g} s after the last of them",
            targets=one(over),
            checks=(quiet(name, begun, -5), fires(-5), fires(0), quiet(name, "end", -5)),
        ),
        Case(
            alert=name,
            kind="vanishes",
            what="the monitor restarts: the alert goes on, and does not begin anew",
            targets=one(long.dead(ended, 60, then=60)),
            checks=tuple(without(after) for after in (-5, *away, 80, 100)),
        ),
        Case(
            alert=name,
            kind="vanishes",
            what="the monitor is gone for good: the alert ends with its window, and ChordwatchBlind takes over",
            targets=one(long.until(ended).dead("end", window + 120)),
            checks=(
                without(-5),
                quiet(name, "gone", window + CLEAR),
                quiet(name, "gone", window + 110),
                firing("gone", 150, GONE),
                firing("gone", window + 110, GONE),
            ),
        ),
        Case(
            alert=name,
            kind="doubled",
            what="two monitors of one installation give one alert with the same number",
            targets=two_monitors(long),
            checks=(fires(-5),),
        ),
        Case(
            alert=name,
            kind="doubled",
            what="two installations give an alert each",
            targets=two_jobs(long),
            checks=(firing(ended, -5, full, of_others(full)),),
        ),
    )


def of_others(alert: Alert) -> Alert:
    """Return the same of another installation."""
    return replace(
        alert,
        job="others",
        summary=alert.summary.replace("job chords", "job others"),
        description=alert.description.replace("job chords", "job others"),
    )


def first_of_all() -> tuple[Case, ...]:
    """Return the cases of a counter that was never seen at 0."""
    long = recorded("callback_twice").held("delivered twice", WRONG_WINDOW + 60)
    found = long.marked("found", "delivered twice", 10).without(REPEATS, end="found")
    return (
        Case(
            alert=WRONG.name,
            kind="fires",
            what="the first chord ever of a callback is wrong",
            targets=one(found),
            checks=(quiet(WRONG.name, "found", -5), firing("found", CLEAR, WRONG), firing("over", -5, WRONG)),
        ),
        silent(WRONG.name, "Prometheus is new, and meets what was counted long ago", found.since("found")),
    )


CASES = (
    *rated("callback_twice", "delivered twice", "over", WRONG_WINDOW, lambda *_: WRONG),
    *first_of_all(),
    silent("CeleryChordWrongResult", "header tasks ran twice, and no callback", recorded("worker_killed")),
    silent("CeleryChordWrongResult", "the store begins anew", recorded("store_killed")),
    *rated("failing_headers", "failing", "well again", FAILURE_WINDOW, failing),
    silent(
        "CeleryChordFailureRate",
        "two chords failed, which is too few to speak of a rate",
        recorded("crash_loop"),
    ),
    silent("CeleryChordFailureRate", "all chords are well", recorded("healthy")),
    *rated("retries", "retrying", "well again", RETRY_WINDOW, retrying),
    silent("CeleryChordRetryStorm", "tasks fail, and none retries", recorded("failing_headers")),
    *rated("records_dropped", "frozen", "over", DROPPED_WINDOW, dropped, away=()),
    silent("ChordwatchDroppingRecords", "the store is away, and nothing is lost", recorded("store_killed")),
)
