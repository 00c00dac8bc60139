"""An instrumented installation: a real worker, and a producer in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, celery, clean_environment, run

HERE = Path(__file__).parent
PUBLISH = """
import sys, json, project
from celery import chord
header = [project.work.s(float(sys.argv[2])) for _ in range(int(sys.argv[1]))]
header += [project.stumble.s() for _ in range(int(sys.argv[3]))]
result = chord(header, project.total.s()).apply_async()
print(json.dumps([result.parent.id, result.id, [part.id for part in result.parent.results]]))
"""


class Installation:
    """The project with its worker and the ways to look at it."""

    def __init__(self, redis: RedisServer, processes: Processes, **environment: str) -> None:
        self.redis, self.processes = redis, processes
        self._notes = processes.folder / "notes"
        self.environment = clean_environment(
            PROJECT_BROKER=redis.url(0),
            PROJECT_BACKEND=redis.url(1),
            PROJECT_NOTES=str(self._notes),
            C_FORCE_ROOT="1",
            **environment,
        )

    def worker(self, concurrency: int, pool: str = "prefork") -> subprocess.Popen[bytes]:
        """Start a worker; return it when it is ready."""
        options = ("-n", "w1@here", "-P", pool, "-c", str(concurrency), "-l", "INFO")
        quiet = ("--without-gossip", "--without-mingle")
        worker = self.processes.start(
            "worker", *celery("-A", "project", "worker", *options, *quiet), cwd=HERE, env=self.environment
        )
        wait_until(lambda: " ready." in self.processes.log("worker"), "the worker is ready")
        return worker

    def publish(self, number: int, seconds: float, retried: int = 0) -> tuple[str, str, list[str]]:
        """Send a chord of `number` tasks, and of `retried` that are retried once.

        Return its group id, the callback's id, and the header's ids.
        """
        done = run(
            sys.executable,
            "-c",
            PUBLISH,
            *map(str, (number, seconds, retried)),
            cwd=HERE,
            env=self.environment,
        )
        assert done.returncode == 0, done.stderr
        chord_id, callback_id, header = json.loads(done.stdout)
        return chord_id, callback_id, header

    def chords(self, *arguments: str, bare: bool = False) -> Any:
        """Return the JSON that a command prints; `bare` without the project's code."""
        urls = ("-b", self.redis.url(0), "--result-backend", self.redis.url(1))
        app = urls if bare else ("-A", "project")
        done = run(*celery(*app, "chords", *arguments, "--format", "json"), cwd=HERE, env=self.environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def noted(self) -> dict[str, tuple[float, float, str]]:
        """Return what the tasks wrote down: start, end and worker, by task id."""
        notes = (json.loads(line) for line in self._notes.read_text().splitlines())
        return {task_id: (started, ended, worker) for task_id, started, ended, worker in notes}


@pytest.fixture
def installation(redis: RedisServer, processes: Processes) -> Installation:
    """An instrumented installation without workers."""
    return Installation(redis, processes)


@pytest.fixture
def store(processes: Processes) -> Iterator[RedisServer]:
    """A Redis of its own for the store."""
    server = RedisServer(processes)
    yield server
    server.close()
