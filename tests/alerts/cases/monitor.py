"""Alerts on chordwatch itself."""

from __future__ import annotations

from dataclasses import replace

from tests.alerts.case import (
    ALERTS,
    DASHBOARD,
    Alert,
    Case,
    Target,
    firing,
    never,
    one,
    quiet,
    two_jobs,
    two_monitors,
)
from tests.alerts.timeline import Timeline, recorded

#: Seconds for which nothing is seen before the alert fires, and for which it lasts after that.
WAIT, KEPT = 120.0, 120.0
#: Seconds from a fault until the monitor has shown it, at the latest; and what a check keeps clear of a change.
SEEN, CLEAR = 30.0, 30.0
#: Seconds for which a lost record is told.
DROPPED = 900.0


def blind(reason: str, why: str) -> Alert:
    """Return the alert for a reason."""
    return Alert(
        name="ChordwatchBlind",
        labels={"severity": "critical", "reason": reason},
        summary=f"Nobody watches the chords: {why}",
        description=(
            f"Nobody watches the chords, because {why}: until it is mended, a hung chord may page nobody."
        ),
        runbook=f"{ALERTS}#chordwatchblind",
        dashboard=f"{DASHBOARD}/",
    )


NAME = "ChordwatchBlind"
GONE = blind("monitor", "no monitor of job chords answers Prometheus")
STALE = blind("scan", "the monitor of job chords has finished no look for 2 minutes")
STORE = blind("store", "the monitor of job chords does not reach the store")
BROKER = blind("broker", "the monitor of job chords does not reach the broker")
BACKEND = blind("backend", "the monitor of job chords does not reach the result backend")
#: There never was a monitor.
NOBODY = replace(blind("monitor", "no monitor answers Prometheus"), job=None)


def fires(alert: Alert, scene: str, begun: str, ended: str, what: str, *, seen: float = SEEN) -> Case:
    """Return the case of a fault; `seen` is when it is seen at the latest, in seconds."""
    return Case(
        alert=NAME,
        kind="fires",
        what=what,
        targets=one(recorded(scene).held(ended, 300).held("end", 300)),
        checks=(
            quiet(NAME, begun, WAIT - CLEAR),
            firing(begun, seen + WAIT, alert),
            firing(ended, 0, alert),
            firing(ended, KEPT - CLEAR, alert),
            quiet(NAME, ended, seen + KEPT + CLEAR),
            quiet(NAME, "end", -5),
        ),
    )


def other_job(alert: Alert) -> Alert:
    """Return the same of another installation."""
    return replace(
        alert,
        job="others",
        summary=alert.summary.replace("job chords", "job others"),
        description=alert.description.replace("job chords", "job others"),
    )


def _gone(scene: str, moment: str, seconds: float) -> Timeline:
    return recorded(scene).until(moment).dead("end", seconds)


CASES = (
    fires(GONE, "monitor_killed", "killed", "started again", "the monitor is killed"),
    fires(STORE, "store_killed", "killed", "started again", "the store is killed"),
    fires(BROKER, "broker_killed", "killed", "started again", "the broker is killed"),
    fires(BACKEND, "backend_killed", "killed", "started again", "the result backend is killed"),
    fires(STALE, "look_hangs", "hanging", "looking again", "a look does not end", seen=WAIT + SEEN),
    *(
        Case(
            alert=NAME,
            kind="silent",
            what=f"{what} is away for a minute",
            targets=one(recorded(scene).held("end", 300)),
            checks=never(NAME, recorded(scene).held("end", 300)),
        )
        for what, scene in (
            ("the monitor", "monitor_killed"),
            ("the store", "store_killed"),
            ("the broker", "broker_killed"),
            ("the result backend", "backend_killed"),
        )
    ),
    Case(
        alert=NAME,
        kind="silent",
        what="one of two monitors is gone for good",
        targets=(
            Target(timeline=recorded("monitor_killed").until("killed").held("end", 900)),
            Target(timeline=_gone("monitor_killed", "killed", 900), instance="monitor-2:9809"),
        ),
        checks=never(NAME, _gone("monitor_killed", "killed", 900)),
    ),
    Case(
        alert=NAME,
        kind="vanishes",
        what="a monitor that reaches no store is killed: the reason changes, and there is always one",
        targets=one(
            recorded("store_killed").held("started again", 300).until("started again").dead("end", 1200)
        ),
        checks=(
            firing("gone", -5, STORE),
            firing("gone", WAIT - CLEAR, STORE),
            firing("gone", WAIT + CLEAR, GONE, STORE),
            firing("gone", 900, GONE),
        ),
    ),
    Case(
        alert=NAME,
        kind="vanishes",
        what="a monitor that is gone for good is missed for hours",
        targets=one(_gone("monitor_killed", "killed", 10800)),
        checks=(
            quiet(NAME, "gone", WAIT - CLEAR),
            firing("gone", WAIT + CLEAR, GONE),
            firing("gone", 3600, GONE),
            firing("gone", 10790, GONE),
        ),
    ),
    Case(
        alert=NAME,
        kind="vanishes",
        what="there never was a monitor that answers",
        targets=one(recorded("monitor_killed").dead("killed", 600).until("back").since("gone")),
        checks=(quiet(NAME, "start", WAIT - CLEAR), firing("start", WAIT + CLEAR, NOBODY)),
    ),
    Case(
        alert=NAME,
        kind="doubled",
        what="both monitors of an installation are killed: one alert",
        targets=two_monitors(_gone("monitor_killed", "killed", 300)),
        checks=(firing("gone", WAIT + CLEAR, GONE),),
    ),
    Case(
        alert=NAME,
        kind="doubled",
        what="the monitors of two installations are killed: an alert each",
        targets=two_jobs(_gone("monitor_killed", "killed", 300)),
        checks=(firing("gone", WAIT + CLEAR, GONE, other_job(GONE)),),
    ),
    Case(
        alert=NAME,
        kind="doubled",
        what="one of two installations has lost its monitor: the alert says which",
        targets=(
            Target(timeline=_gone("monitor_killed", "killed", 300)),
            Target(timeline=recorded("healthy").held("end", 300), job="others", instance="others:9809"),
        ),
        checks=(firing("gone", WAIT + CLEAR, GONE),),
    ),
)
