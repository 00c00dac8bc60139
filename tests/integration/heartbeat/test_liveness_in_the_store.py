"""What the store knows of the workers of a project that is recorded, under every pool."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery, chord
from redis import Redis

from chordwatch.model import Chord
from chordwatch.store.protocol import WorkerRecord
from chordwatch.store.redis_store import RedisStore
from tasks.launch import launch
from tests.support.polling import wait_until
from tests.support.pools import pools
from tests.support.servers import Processes, RedisServer, celery, clean_environment

#: A native thread gets its turn every 0.2 s and what a busy machine adds; a greenlet none until the task has ended.
STALE = 1.5
COMPUTE = 4.0


class Living:
    """The project's worker, and the store as a reader sees it."""

    def __init__(self, redis: RedisServer, processes: Processes) -> None:
        self.processes = processes
        self._broker, self._store_url = redis.url(0), redis.url(2)
        self.store = RedisStore(self._store_url, client_name="reader")
        self.client: Redis = redis.client(2)
        self._app = Celery("outside", broker=self._broker, backend=self._broker, set_as_current=False)

    def worker(self, pool: str, *options: str) -> subprocess.Popen[bytes]:
        """Start the worker and wait until it is ready."""
        process = self.processes.start(
            "worker",
            *celery("-A", "living", "worker", "-n", "w1@here", "-P", pool, "-c", "2", "-l", "INFO"),
            *("--without-gossip", "--without-mingle", *options),
            cwd=Path(__file__).parent,
            env=clean_environment(PROJECT_BROKER=self._broker, PROJECT_STORE=self._store_url),
        )
        wait_until(lambda: " ready." in self.processes.log("worker"), "the worker is ready")
        return process

    def known(self) -> WorkerRecord:
        """Wait until the store knows one worker; return it."""
        (worker,) = wait_until(self.store.workers, "the store knows the worker")
        return worker

    def send(self, name: str, *seconds: float) -> str:
        """Publish a chord of naps or computations; return its id."""
        header = [self._app.signature(f"parts.{name}", args=(each,)) for each in seconds]
        started = launch(chord(header, self._app.signature("parts.collect"), app=self._app))
        assert started.chord_id
        return started.chord_id

    def chord(self, chord_id: str) -> Chord | None:
        """Return the chord as the store has it."""
        recorded = self.store.get(chord_id)
        return recorded and recorded.chord

    def connections(self) -> list[str]:
        """Return the names of the connections that the worker's processes have to the store."""
        names = (client["name"] for client in self.client.client_list())
        return [name for name in names if name.startswith("chordwatch:w1@here:")]

    def close(self) -> None:
        """Close what this side has opened."""
        self.store.close()
        self.client.close()
        self._app.close()


@pytest.fixture
def living(redis: RedisServer, processes: Processes) -> Iterator[Living]:
    living = Living(redis, processes)
    yield living
    living.close()


@pytest.mark.parametrize("pool", pools("prefork", "solo", "threads", "gevent", "eventlet"))
def test_a_worker_is_alive_while_it_computes_and_gone_after_its_goodbye(living: Living, pool: str) -> None:
    process = living.worker(pool)
    born = living.known()
    chord_id = living.send("compute", COMPUTE, 0)

    def computing() -> bool:
        return any(living.known().heartbeat.active)

    wait_until(computing, "the task runs")
    begun, worst, seen_running = time.monotonic(), 0.0, False
    while computing() and time.monotonic() < begun + 30:
        worst = max(worst, living.store.now() - living.known().last_beat_at)
        chord = living.chord(chord_id)
        seen_running = seen_running or (chord is not None and any(t.state == "started" for t in chord.header))
        time.sleep(0.05)
    assert time.monotonic() - begun > COMPUTE - STALE
    assert worst < STALE
    assert seen_running

    wait_until(lambda: (c := living.chord(chord_id)) and c.state == "succeeded", "the chord has ended")
    process.send_signal(signal.SIGTERM)
    assert process.wait(90) == 0
    last = living.known()
    assert (born.gone, last.gone) == (False, True)
    assert (last.heartbeat.pid, last.heartbeat.pool) == (process.pid, pool)
    assert living.connections() == []
    assert "Traceback" not in living.processes.log("worker")


def test_a_killed_worker_is_silent_and_no_longer_connected_though_its_children_live(living: Living) -> None:
    process = living.worker("prefork", "--max-tasks-per-child", "1")
    boot = living.known().heartbeat.boot
    first = living.send("nap", *[0.0] * 6)  # each gets a child that is forked while the main process beats
    wait_until(lambda: (c := living.chord(first)) and c.state == "succeeded", "the chord has ended")
    second = living.send("nap", 60.0, 60.0)
    parts = {task.task_id for task in wait_until(lambda: living.chord(second), "it is recorded").header}
    # Not both: Celery may hand one to a child that is about to end, and it begins after the other.
    wait_until(lambda: parts & set(living.known().heartbeat.active), "a child is busy")
    assert f"chordwatch:w1@here:{boot}" in living.connections()
    os.kill(process.pid, signal.SIGKILL)

    try:
        wait_until(lambda: f"chordwatch:w1@here:{boot}" not in living.connections(), "it is gone", 5)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    assert not living.known().gone


def test_a_worker_that_began_anew_is_another_one(living: Living) -> None:
    process = living.worker("solo")
    first = living.known().heartbeat
    process.send_signal(signal.SIGTERM)
    assert process.wait(90) == 0
    living.worker("solo")

    workers = wait_until(lambda: len(w := living.store.workers()) == 2 and w, "the store knows two")
    assert {worker.heartbeat.node for worker in workers} == {"w1@here"}
    assert {worker.heartbeat.boot: worker.gone for worker in workers}[first.boot]
    assert sum(not worker.gone for worker in workers) == 1
