"""A small installation with real workers, its producer, and the monitor beside it; all on default settings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from chordwatch.store.protocol import Judgement
from chordwatch.store.redis_store import RedisStore
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, celery, clean_environment, run

HERE = Path(__file__).parent / "project"


class Installation:
    """One project on one Redis, instrumented or not; `settings` are Celery's."""

    def __init__(
        self, redis: RedisServer, processes: Processes, *, instrumented: bool, **settings: Any
    ) -> None:
        self.processes, self.redis = processes, redis
        self.store = RedisStore(redis.url(0), client_name="chordwatch:test")
        self._settings = settings
        self._instrumented = instrumented

    def environment(self, login: str = "") -> dict[str, str]:
        """Return the environment in which the project can be imported, by a user of Redis (`name:password@`)."""
        urls = [self.redis.url(database).replace("//", f"//{login}") for database in (0, 1)]
        env = {"PROJECT_BROKER": urls[0], "PROJECT_BACKEND": urls[1]}
        recorded = {"PROJECT_INSTRUMENTED": "1"} if self._instrumented else {}
        return clean_environment(**env, **recorded, PROJECT_SETTINGS=json.dumps(self._settings))

    def worker(
        self, name: str, queues: str = "celery", concurrency: int = 2, **more: Any
    ) -> subprocess.Popen[bytes]:
        """Start a prefork worker, and wait until it is ready."""
        settings = json.dumps({**self._settings, **more})
        process = self.processes.start(
            name,
            *celery("-A", "project", "worker", "-n", f"{name}@here", "-Q", queues),
            *("-c", str(concurrency), "-l", "INFO"),
            cwd=HERE,
            env={**self.environment(), "PROJECT_SETTINGS": settings},
        )
        wait_until(lambda: " ready." in self.processes.log(name), f"{name} is ready")
        return process

    def send(self, task: str, queue: str) -> str:
        """Send a chord of two quick parts and this one, and return its id when the quick ones are counted."""
        done = run(sys.executable, "producer.py", task, queue, cwd=HERE, env=self.environment())
        assert done.returncode == 0, done.stderr
        chord_id = done.stdout.strip()
        parts = f"celery-taskset-meta-{chord_id}.j"
        wait_until(lambda: self.redis.backend.zcard(parts) == 2, "the quick parts are counted")
        return chord_id

    def chords(
        self, *arguments: str, login: str = "", **env: str
    ) -> tuple[subprocess.CompletedProcess[str], float]:
        """Run `celery -A project chords …`, as a user of Redis (`name:password@`); return it and its seconds."""
        begun = time.monotonic()
        done = run(
            *celery("-A", "project", "chords", *arguments), cwd=HERE, env={**self.environment(login), **env}
        )
        return done, time.monotonic() - begun

    def judged(self, chord_id: str) -> Judgement | None:
        """Return what the monitor found of a chord."""
        return self.store.judgements([chord_id]).get(chord_id)

    def close(self) -> None:
        """Give connections back."""
        self.store.close()


class Monitor:
    """A running `chords monitor` of an installation on default settings, after its first look."""

    def __init__(self, installation: Installation, name: str = "monitor") -> None:
        self._name, self._processes = name, installation.processes
        self.process = self._processes.start(
            name,
            *celery("-A", "project", "chords", "monitor", "--port", "0"),
            cwd=HERE,
            env=installation.environment(),
        )
        printed = wait_until(lambda: re.search(r"http://127\.0\.0\.1:\d+", self.log()), "the address")
        self._http = httpx.Client(base_url=printed[0], timeout=20)
        wait_until(lambda: self._http.get("/readyz").status_code == 200, "the monitor is ready")

    def log(self) -> str:
        """Return what it has written."""
        return self._processes.log(self._name)

    def chord(self, chord_id: str) -> dict[str, Any] | None:
        """Return a chord of its last look."""
        listed = self._http.get("/api/chords").json()
        return next((chord for chord in listed if chord["chord_id"] == chord_id), None)

    def metrics(self, accept: str = "text/plain") -> str:
        """Return what a scrape gets."""
        return self._http.get("/metrics", headers={"accept": accept}).text

    def close(self) -> None:
        """Close the connection to it."""
        self._http.close()


def moment_of(true: Callable[[], Any], what: str, seconds: float) -> float:
    """Return when (Unix seconds) something became true."""
    wait_until(true, what, seconds)
    return time.time()
