"""After 1,000 tasks that never ran, or not to their end, no span lives on and none is current."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, chord
from celery.canvas import Signature

from tests.support.polling import wait_until
from tests.support.publisher import publisher
from tests.support.servers import Processes, RedisServer, celery, clean_environment, run

pytestmark = pytest.mark.faults

HERE = Path(__file__).parent / "counted"
CHORDS, SIZE = 10, 100
#: A killed child takes a fork to replace, so these are fewer, among as many others.
KILLS = 20


class Counted:
    """A worker with one pool child, and a producer that is not instrumented."""

    def __init__(self, redis: RedisServer, processes: Processes, app: Celery) -> None:
        self.redis, self._processes, self.app = redis, processes, app

    def environment(self) -> dict[str, str]:
        """Return the environment in which the project can be imported."""
        urls = {"PROJECT_BROKER": self.redis.url(0), "PROJECT_BACKEND": self.redis.url(1)}
        return clean_environment(**urls, CHORDWATCH_TRACING="on")

    def start(self) -> None:
        """Start the worker; it reads the queue `celery` alone."""
        self._processes.start(
            "counted",
            *celery("-A", "project", "worker", "-c", "1", "-l", "WARNING", "-n", "counted@here"),
            cwd=HERE,
            env=self.environment(),
        )
        wait_until(self.in_main, "the worker answers")

    def publish(self, header: Callable[[int], Signature], queue: str) -> list[str]:
        """Publish chords to a queue; return the ids of their header tasks."""
        ids = []
        for _ in range(CHORDS):
            parts = [header(number).set(queue=queue) for number in range(SIZE)]
            chord(parts, app=self.app)(self.app.signature("project.collect"))
            ids += [part.id for part in parts]
        return ids

    def consume(self, queue: str) -> None:
        """Let the worker read this queue too, and wait until nothing of it is left."""
        self.app.control.add_consumer(queue, reply=True)
        wait_until(
            lambda: not self.redis.broker.llen(queue) and not self.redis.broker.hlen("unacked"),
            "all messages are done with",
            seconds=200,
        )

    def in_main(self) -> dict[str, Any] | None:
        """Return what the worker's main process counted."""
        answers = self.app.control.broadcast("live_spans", reply=True, timeout=2.0, limit=1)
        return answers[0]["counted@here"] if answers else None

    def in_child(self) -> dict[str, Any]:
        """Return what the pool's child counted."""
        told: dict[str, Any] = self.run("live_spans").get(timeout=30)
        return told

    def run(self, task: str) -> Any:
        """Send a task of no chord."""
        return self.app.send_task(f"project.{task}")


@pytest.fixture
def counted(redis: RedisServer, processes: Processes) -> Iterator[Counted]:
    with publisher(redis) as app:
        yield Counted(redis, processes, app)


def nothing_lives(counted: Counted) -> None:
    """Wait until no span lives on, as what ends spans may do so in the background; none may be current."""
    for told in (counted.in_main, counted.in_child):
        wait_until(lambda told=told: (told() or {"live": 1})["live"] == {}, f"no span lives {told()}")
        found = told()
        assert found is not None
        assert not found["current"]


def test_a_leak_would_be_seen(counted: Counted) -> None:
    counted.start()
    nothing_lives(counted)
    counted.run("leak").get(timeout=30)
    assert counted.in_child()["live"] == {"leaked": 1}


def test_revoked_tasks(counted: Counted) -> None:
    counted.start()
    ids = counted.publish(lambda _: counted.app.signature("project.add", (1, 1)), "held")
    counted.app.control.revoke(ids, reply=True)
    counted.consume("held")
    nothing_lives(counted)


def test_rejected_tasks(counted: Counted) -> None:
    counted.start()
    counted.publish(lambda _: counted.app.signature("project.reject"), "held")
    counted.consume("held")
    nothing_lives(counted)
    assert counted.in_child()["begun"] >= CHORDS * SIZE


def test_unknown_tasks(counted: Counted) -> None:
    counted.start()
    counted.publish(lambda _: counted.app.signature("project.unheard_of"), "held")
    counted.consume("held")
    nothing_lives(counted)


def test_killed_tasks(counted: Counted) -> None:
    every = CHORDS * SIZE // KILLS

    def header(number: int) -> Signature:
        if number % every:
            return counted.app.signature("project.add", (1, 1))
        return counted.app.signature("project.die")

    counted.start()
    counted.publish(header, "held")
    counted.consume("held")
    nothing_lives(counted)


def test_messages_that_cannot_be_published(counted: Counted) -> None:
    done = run(sys.executable, "failing_producer.py", cwd=HERE, env=counted.environment(), seconds=360)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["begun"] >= 2000
    assert (told["live"], told["current"]) == ({}, False)
