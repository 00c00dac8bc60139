"""Real workers beat while they compute, say what they do, and say goodbye."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, chord

from tasks.launch import describe
from tests.support.polling import wait_until
from tests.support.pools import pools
from tests.support.servers import (
    Processes,
    RedisServer,
    celery,
    clean_environment,
    end,
    free_port,
    redis_binary,
)

INTERVAL = 0.2
#: What a busy machine may add; a greenlet would stand still for as long as a task computes.
SLACK = 1.0
COMPUTE = 3.0
Beat = dict[str, Any]


class Heart:
    """A worker of the project, and what it has said."""

    def __init__(self, redis: RedisServer, processes: Processes, store: str | None = None) -> None:
        self.redis, self.processes = redis, processes
        self.store = store or redis.url(2)
        self.said = redis.client(2)
        self.app = Celery("outside", broker=redis.url(0), backend=redis.url(0), set_as_current=False)

    def worker(self, pool: str, *options: str) -> subprocess.Popen[bytes]:
        """Start a worker and wait until it is ready."""
        process = self.processes.start(
            "worker",
            *celery("-A", "beating", "worker", "-n", "w1@here", "-P", pool, "-c", "2", "-l", "INFO"),
            *("--without-gossip", "--without-mingle", *options),
            cwd=Path(__file__).parent,
            env=clean_environment(PROJECT_BROKER=self.redis.url(0), PROJECT_STORE=self.store),
        )
        wait_until(lambda: " ready." in self.processes.log("worker"), "the worker is ready")
        return process

    def beats(self) -> list[Beat]:
        """Return all that it said."""
        return [json.loads(said) for said in self.said.lrange("beats", 0, -1)]

    def last_where(self, true: Callable[[Beat], bool], what: str) -> Beat:
        """Wait until its latest heartbeat is as wanted."""
        return wait_until(lambda: next((b for b in self.beats()[-1:] if true(b)), None), what)

    def send(self, *parts: tuple[str, float]) -> list[str]:
        """Publish a chord of tasks; return their ids."""
        header = [self.app.signature(f"parts.{name}", args=(seconds,)) for name, seconds in parts]
        result = chord(header, app=self.app)(self.app.signature("parts.collect"))
        ids = [member.id for member in result.parent.results]
        describe(result)  # nobody waits for it
        return ids

    def close(self) -> None:
        """Close what this side has opened."""
        self.said.close()
        self.app.close()


@pytest.fixture
def heart(redis: RedisServer, processes: Processes) -> Any:
    heart = Heart(redis, processes)
    yield heart
    heart.close()


# Every pool is tested in test_liveness_in_the_store.py; here the gaps between the beats are looked at.
@pytest.mark.parametrize("pool", pools("solo", "gevent"))
def test_a_worker_that_computes_goes_on_beating_until_its_goodbye(heart: Heart, pool: str) -> None:
    process = heart.worker(pool)
    first = heart.last_where(lambda _: True, "a first heartbeat")
    part, _ = heart.send(("compute", COMPUTE), ("compute", 0))
    heart.last_where(lambda beat: part in beat["active"], "the heartbeat tells the running task")
    heart.last_where(lambda beat: part not in beat["active"], "the task has ended")
    process.send_signal(signal.SIGTERM)
    assert process.wait(90) == 0

    assert (first["node"], first["pool"], first["queues"]) == ("w1@here", pool, ["celery"])
    assert (first["pid"], first["boot"]) == (process.pid, f"boot-{process.pid}")
    assert first["concurrency"] == (1 if pool == "solo" else 2)
    beats = heart.beats()
    computing = [beat for beat in beats if part in beat["active"]]
    assert computing[-1]["at"] - computing[0]["at"] > COMPUTE - SLACK
    assert max(b["at"] - a["at"] for a, b in pairwise(beats)) < INTERVAL + SLACK
    assert [beat["goodbye"] for beat in beats] == [False] * (len(beats) - 1) + [True]
    assert (beats[-1]["queues"], beats[-1]["left"]) == ([], ["celery"])


def test_tasks_that_wait_in_the_worker_are_told(heart: Heart) -> None:
    heart.worker("threads")
    parts = set(heart.send(*[("nap", 2.0)] * 5))
    busy = heart.last_where(lambda beat: len(beat["active"]) == 2, "two tasks run")

    assert set(busy["active"]) < parts
    assert set(busy["reserved"]) == parts - set(busy["active"])


def test_queues_are_those_that_are_read_now(heart: Heart) -> None:
    heart.worker("solo")
    heart.app.control.add_consumer("more", reply=True)
    heart.last_where(lambda beat: beat["queues"] == ["celery", "more"], "a queue was added")
    heart.app.control.cancel_consumer("celery", reply=True)
    heart.last_where(lambda beat: beat["queues"] == ["more"], "a queue was given up")


def test_a_worker_whose_connection_was_cut_beats_on(heart: Heart) -> None:
    heart.worker("gevent")
    heart.last_where(lambda _: True, "a first heartbeat")
    for _ in range(3):
        heard = len(heart.beats())
        assert sum(c["name"] == "heart" for c in heart.said.client_list()) == 1
        for client in heart.said.client_list():
            if client["name"] == "heart":
                heart.said.client_kill_filter(_id=client["id"])
        wait_until(lambda n=heard: len(heart.beats()) > n + 1, "it beats again")


@pytest.mark.parametrize("pool", pools("prefork", "gevent"))
def test_a_store_that_comes_late_and_goes_is_no_trouble_to_the_worker(
    redis: RedisServer, processes: Processes, pool: str
) -> None:
    port = free_port()
    heart = Heart(redis, processes, f"redis://127.0.0.1:{port}/0")
    heart.said.close()
    worker = heart.worker(pool)
    wait_until(lambda: "cannot send heartbeats" in processes.log("worker"), "the missing store is reported")

    for _ in range(2):
        store = start_redis(processes, port)
        heart.said = redis.__class__.client(AtPort(port), 0)  # type: ignore[arg-type]
        wait_until(lambda: len(heart.said.keys()) > 0, "it beats as soon as there is a store", seconds=15)
        heart.said.close()
        store.terminate()
        end(store, 10)

    heart.send(("nap", 0), ("nap", 0))
    wait_until(
        lambda: "parts.collect" in processes.log("worker") and " succeeded" in processes.log("worker"),
        "ran",
    )
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(90) == 0
    heart.close()


def test_a_killed_worker_is_not_held_connected_by_its_children(heart: Heart) -> None:
    process = heart.worker("prefork", "--max-tasks-per-child", "1")
    heart.last_where(lambda _: True, "a first heartbeat")
    heart.send(*[("nap", 0)] * 6)  # each gets a child that is forked while the main process beats
    wait_until(lambda: "parts.collect" in heart.processes.log("worker"), "the chord has run")
    parts = heart.send(*[("nap", 60.0)] * 2)
    # Not both: Celery may hand one to a child that is about to end, and it begins after the other.
    heart.last_where(lambda beat: set(parts) & set(beat["active"]), "a child is busy")
    os.kill(process.pid, signal.SIGKILL)

    try:
        wait_until(lambda: not any(c["name"] == "heart" for c in heart.said.client_list()), "it is gone", 4)
    finally:
        os.killpg(process.pid, signal.SIGKILL)


class AtPort:
    """As much of a RedisServer as makes a client."""

    def __init__(self, port: int) -> None:
        self.port = port


def start_redis(processes: Processes, port: int) -> subprocess.Popen[bytes]:
    return processes.start(
        "store",
        redis_binary(),
        *("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
        *("--dir", str(processes.folder)),
    )
