"""Alerts on queues and workers. They end when what they tell of does, and hold for five minutes without a monitor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.alerts.case import (
    CAUSES,
    DASHBOARD,
    Alert,
    Case,
    Check,
    about_to_fire,
    evaluated,
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
#: Seconds that what was seen is held without a monitor.
HELD = 300.0
#: Seconds that a message waits before it is one too many.
OLD = 600.0
OLDEST = "celery_chord_oldest_queued_timestamp_seconds"

UNREAD = Alert(
    name="CeleryQueueWithoutConsumer",
    labels={"severity": "warning", "queue_name": "nobody"},
    summary="No worker reads queue nobody, in which 3 messages wait",
    description=(
        "3 messages wait in queue nobody, which none of the workers reads: "
        "start one with -Q for it, or correct the route."
    ),
    runbook=f"{CAUSES}#queue_unconsumed",
    dashboard=f"{DASHBOARD}/stuck?queue=nobody",
)
DOWN = Alert(
    name="CeleryWorkerDown",
    labels={"severity": "warning", "hostname": "victim@here"},
    summary="Worker victim@here vanished with 3 chord tasks",
    description=(
        "Worker victim@here is silent, said no goodbye, and held 3 tasks of chords: "
        "it was killed, or it is frozen."
    ),
    runbook=f"{CAUSES}#worker_lost",
    dashboard=f"{DASHBOARD}/stuck",
)


def waiting(age: float) -> Alert:
    """Return the alert on a message that has waited for so many seconds."""
    words = f"{int(age // 60)}m {int(age % 60)}s"
    return Alert(
        name="CeleryQueueBacklog",
        labels={"severity": "warning", "queue_name": "narrow"},
        summary=f"Tasks of chords wait in queue narrow for {words}",
        description=(
            f"The oldest task of a chord in queue narrow has waited for {words}: "
            "workers read the queue, and do not keep up."
        ),
        runbook=f"{CAUSES}#queued",
        dashboard=f"{DASHBOARD}/queues",
    )


def cases(
    alert: Callable[[float], Alert], short: Timeline, begun: str, ended: str, wait: float
) -> tuple[Case, ...]:
    """Return the cases of an alert that fires when its fault has lasted for `wait` seconds.

    `alert` is told the seconds since the fault.
    """
    name, due = alert(0).name, SEEN + wait
    long = short.held(ended, wait + 120)
    pending = about_to_fire(short, begun, ended, wait)
    away, lost = long.dead(ended, 60, then=120), long.until(ended).dead("end", 900)

    def fires(timeline: Timeline, moment: str, after: float) -> Check:
        seconds = evaluated(timeline.seconds(moment) + after)
        return firing(moment, after, alert(seconds - timeline.seconds(begun)))

    told = fires(long, begun, due).alerts[0]
    return (
        Case(
            alert=name,
            kind="fires",
            what=f"{wait:g} s after the fault is seen, until its end",
            targets=one(long.held("end", 60)),
            checks=(
                quiet(name, begun, wait - CLEAR),
                fires(long, begun, due),
                fires(long, ended, -5),
                quiet(name, "end", -5),
            ),
        ),
        Case(
            alert=name,
            kind="silent",
            what="the fault is young",
            targets=one(short.until(ended)),
            checks=never(name, short.until(ended)),
        ),
        Case(
            alert=name,
            kind="vanishes",
            what="the monitor restarts while the alert is pending: it fires in time",
            targets=one(pending),
            checks=(
                quiet(name, begun, wait - CLEAR),
                fires(pending, begun, due),
                fires(pending, "back", 5),
                fires(pending, ended, -5),
            ),
        ),
        Case(
            alert=name,
            kind="vanishes",
            what="the monitor restarts while the alert fires: it goes on",
            targets=one(away),
            checks=tuple(fires(away, "gone", float(seconds)) for seconds in range(-5, 150, 5)),
        ),
        Case(
            alert=name,
            kind="vanishes",
            what="the monitor is gone for good: the alert ends after its grace, and ChordwatchBlind takes over",
            targets=one(lost),
            checks=(
                *(fires(lost, "gone", after) for after in (-5, 60, 180, HELD - CLEAR)),
                *(quiet(name, "gone", after) for after in (HELD + CLEAR, 600, 895)),
                firing("gone", 150, GONE),
                firing("gone", 895, GONE),
            ),
        ),
        Case(
            alert=name,
            kind="doubled",
            what="two monitors of one installation give one alert with the same number",
            targets=two_monitors(long),
            checks=(fires(long, begun, due),),
        ),
        Case(
            alert=name,
            kind="doubled",
            what="two installations give an alert each",
            targets=two_jobs(long),
            checks=(firing(begun, due, *(replace(told, job=job) for job in ("chords", "others"))),),
        ),
    )


def backlog() -> tuple[Case, ...]:
    """Return the cases of messages that wait for too long: what is told is for how long."""
    scene = recorded("backlog")
    before_sent = scene.seconds("sent") - scene.value(OLDEST, "narrow", scene.seconds("ended") - 5)
    return cases(lambda age: waiting(age + before_sent), scene, "sent", "ended", OLD + 300)


def purged() -> Case:
    """Return the case of a worker that was never started again, which the store forgets after an hour."""
    long = recorded("worker_killed").until("sent again").held("end", 3700).marked("purged", "killed", 3600)
    for metric in ("celery_worker_up", "celery_worker_chord_tasks"):
        long = long.without(metric, begin="purged", having='hostname="victim@here"')
    return Case(
        alert=DOWN.name,
        kind="vanishes",
        what="the store forgets the worker an hour after its last heartbeat: the alert ends",
        targets=one(long),
        checks=(firing("killed", 120, DOWN), firing("purged", -5, DOWN), quiet(DOWN.name, "purged", CLEAR)),
    )


CASES = (
    *cases(lambda _: UNREAD, recorded("queue_unread"), "sent", "read", 120),
    silent(UNREAD.name, "a worker reads the queue in time", recorded("queue_unread")),
    silent(UNREAD.name, "the only worker of a queue is restarted", recorded("rolling_restart")),
    *backlog(),
    silent(
        "CeleryQueueBacklog",
        "nobody reads the queue, which is another alert's",
        recorded("queue_unread").held("read", 1800),
    ),
    *cases(lambda _: DOWN, recorded("worker_killed"), "killed", "sent again", 60),
    purged(),
    silent(DOWN.name, "a worker is ended on purpose", recorded("scale_in").held("end", 300)),
    silent(
        DOWN.name, "a worker is killed that holds nothing", recorded("idle_worker_killed").held("end", 300)
    ),
)
