"""What a benchmark runs on: its own Redis, workers and producers, all ended with it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from redis import Redis

from benchmarks.variants import EVENTS
from chordwatch.store.redis_store import RedisStore
from tests.support.polling import wait_until
from tests.support.servers import ROOT, Processes, RedisServer, celery, clean_environment

START_SECONDS = 60.0


class Producer:
    """A live producer process (`benchmarks.publisher`)."""

    def __init__(self, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.publisher"],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def publish(
        self, chords: int, size: int, *, header_queue: str, queue: str, task: str = "nothing"
    ) -> tuple[float, list[tuple[str, str]]]:
        """Publish chords; return the CPU seconds it took and `(group id, callback id)` of each."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{chords} {size} {task} {header_queue} {queue}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["cpu"], [(group, callback) for group, callback in answer["chords"]]

    def close(self) -> None:
        """End it as a producer ends: by itself."""
        self.process.communicate()


class Scene:
    """One Redis for broker, result backend and store, and the processes that use it."""

    def __init__(self, folder: Path) -> None:
        self.processes = Processes(folder)
        self.redis = RedisServer(self.processes)
        self.producers: list[Producer] = []

    @property
    def broker(self) -> Redis:
        """A client of the broker's database."""
        return self.redis.broker

    def environment(self, variant: str, **extra: str) -> dict[str, str]:
        """Return the environment of a process of `benchmarks.project`."""
        return clean_environment(
            CELERY_BROKER_URL=self.redis.url(0),
            CELERY_RESULT_BACKEND=self.redis.url(1),
            BENCHMARK_VARIANT=variant,
            **extra,
        )

    def worker(self, variant: str, queue: str, *options: str, **extra: str) -> subprocess.Popen[bytes]:
        """Start a prefork worker with one child on a queue, and wait until it works."""
        process = self.processes.start(
            queue,
            *celery("-A", "benchmarks.project", "worker", "-P", "prefork", "-c", "1", "-l", "warning"),
            *("-Q", queue, "-n", f"{queue}@bench", "--without-gossip", "--without-mingle"),
            *(("-E",) if variant == EVENTS else ()),
            *options,
            env=self.environment(variant, **extra),
        )
        wait_until(
            lambda: self.broker.exists(f"_kombu.binding.{queue}"), f"a worker reads {queue}", START_SECONDS
        )
        return process

    def producer(self, variant: str) -> Producer:
        """Start a producer."""
        self.producers.append(Producer(self.environment(variant)))
        return self.producers[-1]

    def await_results(self, task_ids: Sequence[str], seconds: float = 120.0) -> None:
        """Wait until all these tasks have a result."""
        keys = [f"celery-task-meta-{task_id}" for task_id in task_ids]
        wait_until(lambda: self.redis.backend.exists(*keys) == len(keys), "the callbacks ended", seconds)

    def store(self) -> RedisStore:
        """Return the store of what is recorded here, for reading."""
        return RedisStore(self.redis.url(0), client_name="chordwatch:benchmark", store_max_mb=1024)

    def close(self) -> None:
        """End everything."""
        for producer in self.producers:
            producer.close()
        self.processes.stop()
        self.redis.close()


@contextlib.contextmanager
def scene() -> Iterator[Scene]:
    """Give a scene, and end it."""
    with tempfile.TemporaryDirectory(prefix="chordwatch-bench-") as folder:
        opened = Scene(Path(folder))
        try:
            yield opened
        finally:
            opened.close()
