"""An installation to break: two Redis servers, workers and a producer as processes, and a user who looks at it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from celery import Celery
from redis import Redis

from chordwatch.watch import Sighting, Watch
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, celery, clean_environment, kill

HERE = Path(__file__).parent
GROUP, META = "celery-taskset-meta-", "celery-task-meta-"
Mode = Literal["instrumented", "bare"]
#: What a process does is in the store this long afterwards; a kill before that is a case of its own. Seconds.
TOLD = 1.0
#: Seconds that a user waits before asking again: a turn of a loop takes some.
BETWEEN = 5.0
#: So many ask at the same time; each waits for the workers' answers most of the time.
USERS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A chord as its producer knows it; what is not known of a producer that failed is empty."""

    chord_id: str
    callback_id: str = ""
    header: tuple[str, ...] = ()
    error: str = ""


class Producer:
    """A process that publishes what it is told, as a web process does."""

    def __init__(self, processes: Processes, name: str, env: dict[str, str]) -> None:
        with (processes.folder / f"{name}.log").open("wb") as log:
            self.process = subprocess.Popen(
                (sys.executable, "producer.py"),
                cwd=HERE,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._lock = threading.Lock()

    def send(self, name: str) -> Sent:
        """Publish the chord of this name."""
        assert self.process.stdin
        assert self.process.stdout
        with self._lock:
            self.process.stdin.write(f"{name}\n")
            self.process.stdin.flush()
            first = json.loads(self.process.stdout.readline())
            last = json.loads(self.process.stdout.readline() or '{"error": "died"}')
        known = {key: value for key, value in {**first, **last}.items() if value is not None}
        return Sent(**{**known, "header": tuple(known.get("header", ()))})

    def stop(self) -> None:
        """Let the process end by itself: what it still has to record is recorded."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait(90)
        if self.process.stdout:
            self.process.stdout.close()


@dataclass
class Bench:
    """One installation in one mode; `settings` are Celery's, of workers, producer and user alike."""

    folder: Path
    mode: Mode
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.processes = Processes(self.folder)
        self.broker_server, self.backend_server = RedisServer(self.processes), RedisServer(self.processes)
        self.broker: Redis = self.broker_server.client(0)
        self.backend: Redis = self.backend_server.client(0)
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._producers: dict[str, Producer] = {}
        self._lock = threading.Lock()
        self.app = Celery(
            "user", broker=self.broker_server.url(0), backend=self.backend_server.url(0), set_as_current=False
        )
        self.app.conf.update(self.settings)

    @property
    def instrumented(self) -> bool:
        """Whether producer and workers record."""
        return self.mode == "instrumented"

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the environment in which the project can be imported."""
        recorded = {"FAULTS_INSTRUMENTED": "1"} if self.instrumented else {}
        own = {
            "FAULTS_BROKER": self.broker_server.url(0),
            "FAULTS_BACKEND": self.backend_server.url(0),
            "FAULTS_FOLDER": str(self.folder),
            "FAULTS_SETTINGS": json.dumps(self.settings),
        }
        return clean_environment(**{**own, **recorded, **extra})

    # What a case does.

    def worker(self, name: str, *, queues: str = "celery", concurrency: int = 2, **extra: str) -> None:
        """Start a real prefork worker, and wait until it is ready or has died."""
        command = celery(
            *("-A", "project", "worker", "-n", f"{name}@here", "-Q", queues, "-c", str(concurrency)),
            *("--without-gossip", "--without-mingle", "-l", "INFO"),
        )
        env = self.environment(FAULTS_WORKER="1", **extra)
        process = self.processes.start(name, *command, cwd=HERE, env=env)
        with self._lock:
            self._workers[name] = process
        wait_until(
            lambda: " ready." in self.processes.log(name) or process.poll() is not None, f"{name} is ready"
        )

    def send(self, name: str, producer: str = "producer") -> Sent:
        """Publish the case's chord."""
        with self._lock:
            if producer not in self._producers:
                self._producers[producer] = Producer(self.processes, producer, self.environment())
        return self._producers[producer].send(name)

    def signal(self, worker: str, number: signal.Signals, *, everything: bool = False) -> None:
        """Send a signal to a worker's main process, or to its children too."""
        pid = self._workers[worker].pid
        os.killpg(pid, number) if everything else os.kill(pid, number)

    def kill(self, worker: str) -> None:
        """Kill a worker and its children, as a lost node does."""
        with self._lock:
            if self._workers[worker].poll() is None:
                kill(self._workers[worker])

    def wait_for_end(self, worker: str) -> None:
        """Wait until a worker's main process has ended."""
        self.until(lambda: self._workers[worker].poll() is not None, f"{worker} has ended")

    def open(self, gate: str) -> None:
        """Let the tasks go on that wait at this gate."""
        (self.folder / gate).touch()

    def until(self, true: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
        """Wait for something."""
        wait_until(true, what, seconds)

    def until_started(self, task_id: str, runs: int = 1) -> None:
        """Wait until a task that marks its runs has begun so many, and that is told."""
        marks = self.folder / task_id
        self.until(
            lambda: marks.exists() and len(marks.read_text().split()) >= runs, f"{task_id} started {runs} ×"
        )
        time.sleep(TOLD)

    def until_counted(self, chord_id: str, number: int) -> None:
        """Wait until so many parts of a chord are counted."""
        parts = f"{GROUP}{chord_id}.j"
        self.until(lambda: self.backend.zcard(parts) == number, f"{number} parts of {chord_id} are counted")

    def until_stored(self, task_id: str, *states: str) -> None:
        """Wait until a task has a result, of one of `states` if there are some."""

        def stored() -> bool:
            raw = self.backend.get(f"{META}{task_id}")
            return raw is not None and (not states or json.loads(raw)["status"] in states)

        self.until(stored, f"{task_id} has a result {states}")

    def log(self, worker: str) -> str:
        """Return what a worker has written."""
        return self.processes.log(worker)

    # The user's side.

    def explain(self, sent: Iterable[Sent], asked: int = 1) -> dict[str, Sighting | None]:
        """Return what is said of each chord by its group id, as `chords explain ID` does; several users ask at once.

        Each asks up to `asked` times, `BETWEEN` seconds apart, until a chord is called worse than well.
        """
        with ThreadPoolExecutor(USERS) as users:
            return dict(users.map(lambda one: (one.chord_id, self._explained(one.chord_id, asked)), sent))

    def _explained(self, chord_id: str, asked: int) -> Sighting | None:
        watch = Watch(self.app)
        try:
            for number in range(asked):
                time.sleep(BETWEEN if number else 0.0)
                sighting = watch.explained(chord_id)[0]
                if sighting and sighting.chord.health != "ok":
                    break
            return sighting
        finally:
            watch.close()

    def close(self) -> None:
        """End everything; what is stopped or waits is killed."""
        for producer in self._producers.values():
            producer.stop()
        for worker in self._workers.values():
            if worker.poll() is None:
                kill(worker)
        self.app.backend.client.connection_pool.disconnect()
        self.app.close()
        for client in (self.broker, self.backend):
            client.close()
        for server in (self.broker_server, self.backend_server):
            server.close()
        self.processes.stop()
