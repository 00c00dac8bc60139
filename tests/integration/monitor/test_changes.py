"""Two real monitors of one installation: each change of a verdict is told once, in the log and over the webhook."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from celery import chord
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.xray.stranger import HERE, Stranger, group_id
from tests.support.polling import wait_until
from tests.support.receiver import Receiver
from tests.support.servers import Processes, RedisServer, celery

COUNTED = ("celery_chord_verdicts_total", "project.collect", "queue_unconsumed", "hung")
SICK = ("celery_chord_unhealthy", "project.collect", "queue_unconsumed", "hung")
SCANNED = ("chordwatch_scan_timestamp_seconds",)


class Monitor:
    """A monitor of the project that looks every half second and posts to the receiver."""

    def __init__(self, name: str, stranger: Stranger, receiver: Receiver, *options: str) -> None:
        self._name, self._processes = name, stranger.processes
        hook = f"http://me:open-sesame@{receiver.place}/hook"
        command = celery("-A", "project", "chords", "monitor", "--port", "0", "--interval", "0.5", *options)
        env = {**stranger.environment(), "CHORDWATCH_WEBHOOK": hook}
        self.process = self._processes.start(name, *command, cwd=HERE, env=env)
        address = re.compile(r"http://127\.0\.0\.1:\d+(?= )")
        self._address = wait_until(lambda: address.search(self.log()), "the address")[0]

    def log(self) -> str:
        """Return what it has written."""
        return self._processes.log(self._name)

    def lines(self, event: str) -> list[str]:
        """Return the lines of its log that tell an event."""
        word = {"verdict": "hung, ", "recovered": "recovered from "}[event]
        told = f'"event": "{event}"'
        return [line for line in self.log().splitlines() if word in line or told in line]

    def value(self, series: tuple[str, ...]) -> float | None:
        """Return the value of a series, by its name and its labels in the order of their names."""
        families = text_string_to_metric_families(httpx.get(f"{self._address}/metrics", timeout=20).text)
        samples = [sample for family in families for sample in family.samples]
        found = {(s.name, *(v for _, v in sorted(s.labels.items()))): s.value for s in samples}
        return found.get(series)

    def looks_again(self) -> None:
        """Wait for two more looks."""
        for _ in range(2):
            before = self.value(SCANNED)
            wait_until(lambda before=before: self.value(SCANNED) != before, "the next look")

    def end(self) -> None:
        """End it as a supervisor does."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(90) == 0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def server(processes: Processes) -> Iterator[RedisServer]:
    """A Redis of its own: this process remembers in which ones it has declared its queues."""
    server = RedisServer(processes)
    yield server
    server.close()


@pytest.fixture
def stranger(server: RedisServer, processes: Processes) -> Iterator[Stranger]:
    """An installation with one chord of which a part lies in a queue that nobody reads."""
    stranger = Stranger(server, processes)
    stranger.worker("main")
    stranger.ready("main")
    stranger.app.set_current()  # a chord goes through the current app
    yield stranger
    stranger.close()


def test_two_monitors_tell_each_change_once(stranger: Stranger, receiver: Receiver) -> None:
    t = stranger.tasks
    hung = chord([t.add.s(1, 1), t.add.s(2, 2).set(queue="nobody")], t.collect.s()).apply_async()
    chord_id = group_id(hung)
    one = Monitor("one", stranger, receiver)
    two = Monitor("two", stranger, receiver, "--log-format", "json")
    for monitor in (one, two):
        wait_until(lambda monitor=monitor: monitor.value(SICK) == 1, "both see it")
        wait_until(lambda monitor=monitor: monitor.value(COUNTED) == 1, "it is counted once")
        monitor.looks_again()

    assert len(one.lines("verdict") + two.lines("verdict")) == 1
    wait_until(lambda: receiver.received, "it is posted")
    assert [told(body) for *_, body in receiver.received] == [("verdict", chord_id, "queue_unconsumed")]
    assert receiver.received[0][2]["verdict"]["outcome"] == "hung"
    assert receiver.received[0][2]["verdict"]["evidence"]

    one.end()
    three = Monitor("three", stranger, receiver, "--log-format", "json")
    wait_until(lambda: three.value(SICK) == 1, "the new one sees it too")
    three.looks_again()
    assert three.lines("verdict") == []

    stranger.worker("late", queues="nobody")
    wait_until(hung.ready, "the chord goes on")
    wait_until(lambda: three.lines("recovered") + two.lines("recovered"), "it is told")
    for monitor in (two, three):
        monitor.looks_again()
        monitor.end()
    assert len(three.lines("recovered") + two.lines("recovered")) == 1
    assert [told(body) for *_, body in receiver.received[1:]] == [("recovered", chord_id, "queue_unconsumed")]
    assert all(json.loads(line)["time"] for log in (two, three) for line in log.log().splitlines())
    assert "open-sesame" not in one.log() + two.log() + three.log()


def told(body: dict[str, Any]) -> tuple[str, str, str]:
    """Return event, chord and cause of what was posted."""
    return body["event"], body["chord"]["chord_id"], body["cause"]


def test_a_webhook_that_is_away_stops_nothing(stranger: Stranger, receiver: Receiver) -> None:
    receiver.close()
    t = stranger.tasks
    chord([t.add.s(1, 1), t.add.s(2, 2).set(queue="nobody")], t.collect.s()).apply_async()
    monitor = Monitor("alone", stranger, receiver)
    wait_until(lambda: monitor.lines("verdict"), "it is logged")
    wait_until(
        lambda: monitor.value(("chordwatch_internal_errors_total", "webhook")) == 1, "the loss is counted"
    )

    monitor.looks_again()
    assert "The webhook at http://127.0.0.1 does not answer (ConnectionRefusedError)" in monitor.log()
    assert "open-sesame" not in monitor.log()
    assert "Traceback" not in monitor.log()
    monitor.end()


def test_a_monitor_that_may_only_read_tells_what_it_finds(
    stranger: Stranger, receiver: Receiver, server: RedisServer
) -> None:
    t = stranger.tasks
    chord([t.add.s(1, 1), t.add.s(2, 2).set(queue="nobody")], t.collect.s()).apply_async()
    server.broker.execute_command(
        *("ACL", "SETUSER", "reader", "on", ">secret", "~*", "&*", "+@all"),
        *("-eval", "-evalsha"),
    )
    store = server.url(0).replace("redis://", "redis://reader:secret@")
    stranger._environment["CHORDWATCH_STORE_URL"] = store
    monitor = Monitor("reader", stranger, receiver)
    wait_until(lambda: monitor.lines("verdict"), "it is logged")
    wait_until(lambda: receiver.received, "it is posted")
    monitor.looks_again()

    assert len(monitor.lines("verdict")) == len(receiver.received) == 1
    assert "Verdicts are told, but not kept: " in monitor.log()
    assert "secret" not in monitor.log()
    monitor.end()
