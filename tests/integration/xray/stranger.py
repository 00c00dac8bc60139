"""The stranger's side and the visitor's: a project with its workers, and the X-ray looking at them from outside."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from celery import Celery
from redis import Redis

from chordwatch.model import Chord, to_json
from chordwatch.watch import Sighting, Watch
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, celery, clean_environment

HERE = Path(__file__).parent
GROUP = "celery-taskset-meta-"
META = "celery-task-meta-"
#: Longer than any test: a task that is still running when the test looks, and is killed with its worker.
FOR_EVER = 600.0


class Stranger:
    """A project on two databases of a Redis, its workers, and the ways to look at it without its code."""

    def __init__(
        self,
        redis: RedisServer,
        processes: Processes,
        databases: tuple[int, int] = (0, 1),
        **settings: Any,
    ) -> None:
        self.processes = processes
        self.broker_url, self.backend_url = (redis.url(database) for database in databases)
        self.broker, self.backend = (redis.client(database) for database in databases)
        self._environment = {
            "PROJECT_BROKER": self.broker_url,
            "PROJECT_BACKEND": self.backend_url,
            "PROJECT_SETTINGS": json.dumps(settings),
        }
        self._name = "-".join(str(database) for database in databases)
        self.tasks = self._load()

    @property
    def app(self) -> Celery:
        """The project's app, as its own code has it."""
        return self.tasks.app

    def worker(
        self, name: str, *options: str, queues: str = "celery", concurrency: int = 2
    ) -> subprocess.Popen[bytes]:
        """Start a real prefork worker."""
        return self.processes.start(
            f"{name}-{self._name}",
            *celery("-A", "project", "worker", "-n", f"{name}@here", "-Q", queues, "-c", str(concurrency)),
            *("--without-gossip", "--without-mingle", "-l", "INFO", *options),
            cwd=HERE,
            env=self.environment(),
        )

    def environment(self) -> dict[str, str]:
        """Return the environment in which the project can be imported."""
        return clean_environment(**self._environment, C_FORCE_ROOT="1")  # pickle, in a container

    def ready(self, *names: str) -> None:
        """Wait until the workers are."""
        for name in names:
            wait_until(
                lambda name=name: " ready." in self.processes.log(f"{name}-{self._name}"),
                f"worker {name} is ready",
            )

    def log(self, name: str) -> str:
        """Return what a worker has written."""
        return self.processes.log(f"{name}-{self._name}")

    def sight(self, wanted: str) -> Sighting | None:
        """Look for one chord from outside, without the project's code."""
        return look_for(wanted, self.outsider())

    def sight_when(self, wanted: str, true: Callable[[Sighting], bool], what: str) -> Sighting:
        """Look until `true` says so, and return what was seen then."""

        def seen() -> Sighting | None:
            sighting = self.sight(wanted)
            return sighting if sighting and true(sighting) else None

        found = wait_until(seen, what)
        assert found
        return found

    def outsider(self) -> Celery:
        """Return an app that knows nothing but the two URLs."""
        return Celery("outsider", broker=self.broker_url, backend=self.backend_url, set_as_current=False)

    def counted(self, chord_id: str) -> int:
        """Return how many parts Celery has counted."""
        return parts_of(self.backend, chord_id)

    def close(self) -> None:
        """Close the clients."""
        consumer = self.app.backend.result_consumer
        consumer.stop()
        # A result that is collected later would connect anew to unsubscribe, to a Redis that is gone.
        consumer.subscribed_to.clear()
        close(self.app)
        self.broker.close()
        self.backend.close()
        # kombu leaves a socket to the collector; it is to come here, and not in the midst of another test.
        gc.collect()

    def _load(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location("project", HERE / "project.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        with mock.patch.dict(os.environ, self._environment):
            spec.loader.exec_module(module)
        return module


def parts_of(backend: Redis, chord_id: str) -> int:
    """Return the length of a chord's parts, whether kept in order or as a list."""
    key = f"{GROUP}{chord_id}.j"
    return int({b"zset": backend.zcard, b"list": backend.llen}.get(backend.type(key), lambda _: 0)(key))


def look_for(wanted: str, app: Celery) -> Sighting | None:
    """Look for one chord as `app`."""
    watch = Watch(app)
    try:
        return watch.sight(wanted)[0]
    finally:
        watch.close()
        close(app)


def close(app: Celery) -> None:
    """Close all connections of an app."""
    app.backend.client.connection_pool.disconnect()
    app.close()


def chords(
    broker: str, backend: str, *arguments: str, env: dict[str, str] | None = None, seconds: float = 180.0
) -> subprocess.CompletedProcess[str]:
    """Run `celery -b … --result-backend … chords …` in a folder where no code of the project is."""
    return finish(start_chords(broker, backend, *arguments, env=env), seconds)


def start_chords(
    broker: str, backend: str, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start such a command, so that several can wait for the workers at the same time."""
    return subprocess.Popen(
        celery("-b", broker, "--result-backend", backend, "chords", *arguments),
        cwd=tempfile.gettempdir(),
        env=clean_environment() if env is None else env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], seconds: float = 180.0) -> subprocess.CompletedProcess[str]:
    """Return what a started command did; kill it when it does not end in time."""
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def group_id(result: Any) -> str:
    """Return the group id of a chord's result."""
    return str(result.parent.id)


def header_ids(result: Any) -> list[str]:
    """Return the ids of a flat header, in order."""
    return [part.id for part in result.parent.results]


def causes(chord: Chord) -> list[str]:
    """Return the causes of a chord's verdicts, in order."""
    return [verdict.cause for verdict in chord.verdicts]


def place_kinds(sighting: Sighting) -> dict[str, str]:
    """Return where each task is, by task id."""
    return {task_id: place.kind for task_id, place in sighting.places.items()}


def document(sighting: Sighting | None) -> dict[str, Any]:
    """Return the chord as JSON programs get it."""
    assert sighting
    parsed: dict[str, Any] = json.loads(json.dumps(to_json(sighting.chord, header=True)))
    return parsed
