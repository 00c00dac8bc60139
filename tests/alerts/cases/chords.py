"""Alerts on chords that hang, loop or are late. They last as long as what is seen, and then three minutes."""

from __future__ import annotations

from dataclasses import replace

from tests.alerts.case import (
    CAUSES,
    DASHBOARD,
    Alert,
    Case,
    about_to_fire,
    firing,
    never,
    one,
    quiet,
    silent,
    two_jobs,
    two_monitors,
)
from tests.alerts.cases.monitor import GONE
from tests.alerts.timeline import Timeline, recorded

#: Seconds from a fault until the monitor has shown it, at the latest; and what a check keeps clear of a change.
SEEN, CLEAR = 35.0, 30.0
#: Seconds that an alert lasts when there is no more sign of it, and that what was seen is held without a monitor.
KEPT, HELD = 180.0, 300.0

HUNG = Alert(
    name="CeleryChordHung",
    labels={"severity": "critical", "callback": "project.collect", "cause": "worker_lost"},
    summary="3 chords hang with callback project.collect: worker_lost",
    description=(
        "3 chords with callback project.collect will never finish, because of worker_lost: "
        "the runbook says what to do, the dashboard shows which."
    ),
    runbook=f"{CAUSES}#worker_lost",
    dashboard=f"{DASHBOARD}/stuck?callback=project.collect&cause=worker_lost",
)
LOOPING = Alert(
    name="CeleryChordLooping",
    labels={"severity": "warning", "callback": "project.collect", "cause": "worker_lost_loop"},
    summary="2 chords loop with callback project.collect: worker_lost_loop",
    description=(
        "2 chords repeat the same step again and again with callback project.collect, because of "
        "worker_lost_loop: that takes the workers' time and hardly ever ends by itself."
    ),
    runbook=f"{CAUSES}#worker_lost_loop",
    dashboard=f"{DASHBOARD}/stuck?callback=project.collect&cause=worker_lost_loop",
)
LATE = Alert(
    name="CeleryChordLate",
    labels={"severity": "warning", "callback": "project.collect", "cause": "task_overdue"},
    summary="3 chords are late with callback project.collect: task_overdue",
    description=(
        "3 chords with callback project.collect should have gone on by now, because of task_overdue: "
        "it may still happen without you."
    ),
    runbook=f"{CAUSES}#task_overdue",
    dashboard=f"{DASHBOARD}/stuck?callback=project.collect&cause=task_overdue",
)


def cases(alert: Alert, short: Timeline, begun: str, ended: str, wait: float) -> tuple[Case, ...]:
    """Return the cases of an alert that fires when its fault has lasted for `wait` seconds."""
    long = short.held(ended, wait + 120)
    name, due = alert.name, SEEN + wait
    return (
        Case(
            alert=name,
            kind="fires",
            what=f"one alert for all chords, {wait:g} s after the fault is seen, until {KEPT:g} s after its end",
            targets=one(long.held("end", KEPT + 60)),
            checks=(
                quiet(name, begun, wait - CLEAR),
                firing(begun, due, alert),
                firing(ended, 0, alert),
                firing(ended, KEPT - CLEAR, alert),
                quiet(name, ended, KEPT + CLEAR),
            ),
        ),
        Case(
            alert=name,
            kind="silent",
            what=f"the fault ends before it has lasted for {wait:g} s",
            targets=one(short.held("end", wait)),
            checks=never(name, short),
        ),
        Case(
            alert=name,
            kind="vanishes",
            what="the monitor restarts while the alert is pending: it fires in time",
            targets=one(about_to_fire(short, begun, ended, wait)),
            checks=(
                quiet(name, begun, wait - CLEAR),
                firing(begun, due, alert),
                firing("back", 5, alert),
                firing(ended, 0, alert),
            ),
        ),
        Case(
            alert=name,
            kind="vanishes",
            what="the monitor restarts while the alert fires: it goes on",
            targets=one(long.dead(ended, 60, then=120)),
            checks=tuple(firing("gone", float(seconds), alert) for seconds in range(-5, 180, 5)),
        ),
        Case(
            alert=name,
            kind="vanishes",
            what="the monitor is gone for good: the alert ends after its grace, and ChordwatchBlind takes over",
            targets=one(long.until(ended).dead("end", 1800)),
            checks=(
                *(
                    firing("gone", float(seconds), alert)
                    for seconds in range(-5, int(HELD + KEPT - CLEAR), 30)
                ),
                *(quiet(name, "gone", HELD + KEPT + after) for after in (CLEAR, 120, 600, 1200)),
                firing("gone", 150, GONE),
                firing("gone", 1700, GONE),
            ),
        ),
        *doubled(alert, long, (begun, due)),
    )


def doubled(alert: Alert, timeline: Timeline, when: tuple[str, float]) -> tuple[Case, ...]:
    """Return what several monitors, and several installations, give."""
    other = replace(alert, job="others")
    return (
        Case(
            alert=alert.name,
            kind="doubled",
            what="two monitors of one installation give one alert with the same number",
            targets=two_monitors(timeline),
            checks=(firing(*when, alert),),
        ),
        Case(
            alert=alert.name,
            kind="doubled",
            what="two installations give an alert each",
            targets=two_jobs(timeline),
            checks=(firing(*when, alert, other),),
        ),
    )


def restarts() -> tuple[Case, ...]:
    """Return the cases of a monitor that restarts while chords hang, as it was recorded."""
    pending = recorded("monitor_restarted").held("end", 120)
    fired = recorded("monitor_restarted").held("monitor ended", 120).held("end", 120)
    return (
        Case(
            alert=HUNG.name,
            kind="vanishes",
            what="a real monitor restarts while the alert is pending: it fires in time",
            targets=one(pending),
            checks=(
                quiet(HUNG.name, "killed", 60 - CLEAR),
                firing("killed", SEEN + 60, HUNG),
                firing("end", -5, HUNG),
            ),
        ),
        Case(
            alert=HUNG.name,
            kind="vanishes",
            what="a real monitor restarts while the alert fires: it goes on",
            targets=one(fired),
            checks=tuple(firing("monitor ended", float(seconds), HUNG) for seconds in range(-5, 170, 5)),
        ),
    )


CASES = (
    *cases(HUNG, recorded("worker_killed"), "killed", "sent again", 60),
    *restarts(),
    silent(HUNG.name, "a queue without a reader for as long as a restart takes", recorded("rolling_restart")),
    *cases(LOOPING, recorded("crash_loop"), "looping", "revoked", 300),
    *cases(LATE, recorded("task_overdue"), "overdue", "ended", 600),
)
