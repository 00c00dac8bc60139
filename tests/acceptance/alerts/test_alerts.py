"""Alerts from end to end: real faults, a real monitor, Prometheus and Alertmanager, and what the pager is told."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.acceptance.alerts.watched import FAST, Watched
from tests.support.polling import wait_until
from tests.support.prometheus import DASHBOARD
from tests.support.servers import Processes, RedisServer, kill, redis_binary

pytestmark = pytest.mark.faults

CALLBACK = "project.collect"
#: Seconds from a fault to the pager.
TOLD = 90.0
#: Seconds in which nothing is to be told, and of these how long workers are restarted.
QUIET, RESTARTING = 65.0, 40.0


def links(alert: dict[str, dict[str, str]]) -> tuple[str, dict[str, list[str]], str]:
    """Return the page of the dashboard, what is asked of it, and the section of the runbook."""
    dashboard, runbook = (urlsplit(alert["annotations"][name]) for name in ("dashboard_url", "runbook_url"))
    return (
        f"{dashboard.scheme}://{dashboard.netloc}{dashboard.path}",
        parse_qs(dashboard.query),
        runbook.fragment,
    )


def leave(worker: subprocess.Popen[bytes]) -> None:
    """Tell a worker to stop, as a deployment does, and wait until it has."""
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(90) == 0


def pager_told(watched: Watched, name: str) -> dict[str, dict[str, str]]:
    """Return the alert that the pager is told of, `TOLD` seconds from now at the latest."""
    begun = time.monotonic()
    alert = watched.alerting.wait_for(name, "firing", TOLD)
    took = time.monotonic() - begun
    print(f"the pager was told of {name} after {took:.1f} s")
    assert took <= TOLD
    return alert


def test_a_killed_worker_wakes_the_pager_once_and_the_end_of_its_chords_is_told(watched: Watched) -> None:
    alerting = watched.alerting
    watched.worker("main")
    doomed = watched.worker("doomed", "doomed", concurrency=3)
    chords = [watched.send("nap", "doomed") for _ in range(3)]
    wait_until(lambda: all(map(watched.running, chords)), "the third parts run")
    held = 'celery_worker_chord_tasks{hostname="doomed@here"} == 3'
    wait_until(lambda: alerting.ask(held), "the worker has told that it holds them")
    assert alerting.summaries() == set()

    kill(doomed)
    hung = pager_told(watched, "CeleryChordHung")
    down = alerting.wait_for("CeleryWorkerDown", "firing", to="nobody", hostname="doomed@here")

    assert hung["labels"]["callback"] == CALLBACK
    assert hung["labels"]["cause"] == "worker_lost"
    assert hung["labels"]["severity"] == "critical"
    asked = {"callback": [CALLBACK], "cause": ["worker_lost"]}
    assert links(hung) == (f"{DASHBOARD}/stuck", asked, "worker_lost")
    for word in (CALLBACK, "worker_lost", "3 "):
        assert word in hung["annotations"]["summary"] + hung["annotations"]["description"]
    assert "doomed@here" in down["annotations"]["summary"] + down["annotations"]["description"]

    watched.worker("doomed", "doomed", concurrency=3)
    for chord_id in chords:
        watched.send_again(chord_id, "doomed")
    alerting.wait_for("CeleryChordHung", "resolved", cause="worker_lost")
    alerting.wait_for("CeleryWorkerDown", "resolved", to="nobody")
    # Three chords, one alert, told once.
    assert len(alerting.told("CeleryChordHung", "firing")) == 1
    assert alerting.names() == {"CeleryChordHung", "CeleryWorkerDown"}


def test_a_queue_that_nobody_reads_wakes_the_pager_until_somebody_does(watched: Watched) -> None:
    """The monitor restarts meanwhile, and its series are away for longer than the alert would stay without them."""
    alerting = watched.alerting
    watched.worker("main")
    watched.send("add", "nobody")

    hung = pager_told(watched, "CeleryChordHung")
    queue = alerting.wait_for("CeleryQueueWithoutConsumer", "firing", to="nobody")

    assert hung["labels"]["cause"] == "queue_unconsumed"
    asked = {"callback": [CALLBACK], "cause": ["queue_unconsumed"]}
    assert links(hung) == (f"{DASHBOARD}/stuck", asked, "queue_unconsumed")
    assert queue["labels"]["queue_name"] == "nobody"

    kill(watched.monitor)
    away = f"absent_over_time(celery_chord_unhealthy[{FAST.unhealthy_keep + 2:.0f}s])"
    wait_until(lambda: alerting.ask(away), "the monitor's series are away")
    watched.watch()
    back = f'celery_chord_unhealthy{{callback="{CALLBACK}"}} == 1'
    wait_until(lambda: alerting.ask(back), "the monitor has found the chord again")
    assert alerting.told("CeleryChordHung", "resolved") == []

    watched.worker("late", "nobody")
    alerting.wait_for("CeleryChordHung", "resolved")
    alerting.wait_for("CeleryQueueWithoutConsumer", "resolved", to="nobody")
    assert len(alerting.told("CeleryChordHung", "firing")) == 1
    assert alerting.names() == {"CeleryChordHung", "CeleryQueueWithoutConsumer"}


def test_a_monitor_that_is_gone_is_told_until_it_is_back(watched: Watched) -> None:
    alerting = watched.alerting
    watched.worker("main")

    kill(watched.monitor)
    blind = pager_told(watched, "ChordwatchBlind")
    assert blind["labels"]["job"] == "chordwatch"

    watched.watch()
    alerting.wait_for("ChordwatchBlind", "resolved")
    assert blind["labels"]["reason"] == "monitor"
    # The worker was there all the time, and Flower never was: no other alert.
    assert alerting.names() == {"ChordwatchBlind"}


def test_a_store_that_is_gone_is_told_until_it_is_back(redis: RedisServer, processes: Processes) -> None:
    with (
        closing(RedisServer(processes)) as store,
        closing(Watched(redis, processes, chordwatch_store_url=store.url(0))) as watched,
    ):
        watched.worker("main")
        watched.send("nap", "nobody")
        wait_until(lambda: "celery_chord_started_total{" in watched.metrics().text, "the chord is counted")

        kill(store.process)
        wait_until(lambda: "\nchordwatch_store_up 0.0" in watched.metrics().text, "the monitor says so")
        answer = watched.metrics()
        assert answer.status_code == 200
        assert "celery_chord_started_total{" not in answer.text
        blind = pager_told(watched, "ChordwatchBlind")
        assert blind["labels"]["reason"] == "store"

        options = ("--port", str(store.port), "--bind", "127.0.0.1", "--save", "")
        processes.start("redis-again", redis_binary(), *options, cwd=processes.folder)
        watched.alerting.wait_for("ChordwatchBlind", "resolved")


def test_rolling_restarts_and_a_scale_in_alert_nobody(watched: Watched) -> None:
    alerting = watched.alerting
    workers = {name: watched.worker(name) for name in ("one", "two")}
    begun = time.monotonic()
    with watched.trickle() as producer:
        while time.monotonic() < begun + RESTARTING:
            for name, worker in list(workers.items()):
                leave(worker)
                workers[name] = watched.worker(name)
        leave(workers["two"])
        wait_until(lambda: time.monotonic() > begun + QUIET, "a minute has passed", QUIET)
        sent = int(producer.communicate("")[0])
    assert alerting.summaries() == set()
    finished = f'celery_chord_finished_total{{callback="{CALLBACK}", outcome="succeeded"}} == {sent}'
    wait_until(lambda: alerting.ask(finished), "all chords have ended well")

    assert sent > QUIET
    assert alerting.unwell() == []
