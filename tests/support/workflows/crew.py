"""The servers and processes of a workflow: Redis with a wiretap, a Redis for the store, workers and a producer."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery

from chordwatch.store.protocol import Store
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, celery, clean_environment
from tests.support.workflows import journal
from tests.support.workflows.canvases import Node
from tests.support.workflows.recorded import open_store
from tests.support.workflows.wiretap import COPY, Message, Wiretap

#: Seconds until a message is delivered a second time: two runs that begin in one millisecond are one to the store.
COPIED_AFTER = 0.03
PROJECT = "tests.support.workflows.project"


class Crew:
    """Everything that a project needs to run, and the three witnesses."""

    def __init__(self, processes: Processes, *, instrumented: bool = True, **settings: Any) -> None:
        self.processes = processes
        self.redis = RedisServer(processes)
        self.store = RedisServer(processes)
        self._copies: list[threading.Timer] = []
        self._producers: list[Producer] = []
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.journal = processes.folder / "journal"
        self._environment = {
            "WORKFLOWS_BROKER": self.redis.url(0),
            "WORKFLOWS_BACKEND": self.redis.url(1),
            "WORKFLOWS_SETTINGS": json.dumps(settings),
            journal.VARIABLE: str(self.journal),
        }
        if instrumented:
            self._environment["WORKFLOWS_STORE"] = self.store.url(0)
        self._app = Celery("control", broker=self.redis.url(0), set_as_current=False)
        self.wiretap = Wiretap(self.redis.port, self._on_message)

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the environment in which the project can be imported."""
        return clean_environment(**self._environment, **extra)

    def worker(self, name: str, *options: str, **extra: str) -> subprocess.Popen[bytes]:
        """Start a worker named `<name>@here` and wait until it is ready."""
        process = self.workers[name] = self.processes.start(
            name,
            *celery("-A", PROJECT, "worker", "-n", f"{name}@here", "-l", "INFO"),
            *("--without-gossip", "--without-mingle", *options),
            env=self.environment(**extra),
        )
        wait_until(lambda: " ready." in self.processes.log(name), f"worker {name} is ready", 60.0)
        return process

    def producer(self, name: str, **extra: str) -> Producer:
        """Start a process that publishes."""
        producer = Producer(self.processes.folder / f"{name}.log", self.environment(**extra))
        self._producers.append(producer)
        return producer

    def events(self) -> list[dict[str, Any]]:
        """Return what the tasks have written down."""
        return journal.read(self.journal)

    def quiet(self, *, killed: int = 0, seconds: float = 30.0) -> None:
        """Wait until no message waits, no task runs but those `killed`, and nothing is published or counted."""
        seen = -1, -1

        def nothing_new() -> bool:
            nonlocal seen
            before, seen = seen, (self.wiretap.commands, len(self.events()))
            return before == seen and self._idle(killed)

        try:
            wait_until(nothing_new, "all workflows came to rest", seconds)
        except AssertionError:
            raise AssertionError(f"not at rest within {seconds:g} s: {self.unrest()}") from None

    def control(self) -> Any:
        """Return Celery's remote control of the workers."""
        return self._app.control

    @contextmanager
    def recorded(self) -> Iterator[Store]:
        """Open the store, as a reader does."""
        with open_store(self.store.url(0)) as store:
            yield store

    def close(self) -> None:
        """End the producers, stop listening, and give connections back. All else ends with its fixture."""
        for producer in self._producers:
            producer.finish()
        for copy in self._copies:
            copy.join()
        self.wiretap.close()
        self._app.close()
        self.redis.close()
        self.store.close()

    def _idle(self, killed: int) -> bool:
        return self.unrest() == {"waiting": 0, "copies": 0, "unacked": 0, "running": killed}

    def unrest(self) -> dict[str, int]:
        """Return how much is still under way: messages, copies, tasks."""
        return {
            "waiting": sum(self.redis.broker.llen(queue) for queue in ("celery", "limited")),
            "copies": sum(copy.is_alive() for copy in self._copies),
            "unacked": self.redis.broker.hlen("unacked"),
            "running": sum(1 if event["event"] == "start" else -1 for event in self.events()),
        }

    def _on_message(self, message: Message) -> None:
        if message.copied or message.headers["retries"] or message.headers.get("replaced_task_nesting"):
            return
        if message.plan.get("revoke"):
            self.control().revoke(message.id)
        if message.plan.get("copy"):
            self._copies.append(threading.Timer(COPIED_AFTER, self._deliver_again, (message,)))
            self._copies[-1].start()

    def _deliver_again(self, message: Message) -> None:
        tag = {"delivery_tag": f"{COPY}{uuid.uuid4()}"}
        copy = message.raw | {"properties": message.raw["properties"] | tag}
        self.redis.broker.lpush(message.queue, json.dumps(copy))


class Producer:
    """A process that publishes workflows when it is told to."""

    def __init__(self, log: Path, environment: dict[str, str]) -> None:
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                (sys.executable, "-m", "tests.support.workflows.producer"),
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def publish(self, *nodes: Node) -> list[str]:
        """Publish workflows; return the ids of their results."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(nodes) + "\n")
        self.process.stdin.flush()
        ids: list[str] = json.loads(self.process.stdout.readline())
        return ids

    def finish(self) -> int:
        """Let it end by itself; return its exit code."""
        if self.process.poll() is None:
            self.process.communicate(timeout=30)
        return self.process.returncode
