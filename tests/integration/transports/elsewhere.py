"""An installation on any broker and backend: real workers, chords sent by a process of its own, looks from a third."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from chordwatch.store.redis_store import RedisStore
from tests.support.polling import wait_until
from tests.support.servers import Processes, celery, clean_environment, run

HERE = Path(__file__).parent
#: Longer than any test.
FOR_EVER = 600.0
_SEND = """
import json, sys, project
from celery import chord
def part(name, *args, queue=None):
    signature = getattr(project, name).s(*args)
    return signature.set(queue=queue) if queue else signature
header, body = json.loads(sys.argv[1])
body = part("collect", queue=body) if body else project.collect.s()
result = chord([part(*p[:-1], queue=p[-1]) for p in header], body).apply_async()
print(json.dumps([result.parent.id, result.id, [p.id for p in result.parent.results]]))
"""
Part = tuple[Any, ...]


class Sent:
    """A chord that was sent: its group id, its callback's id, its header's ids."""

    def __init__(self, ids: str) -> None:
        self.chord_id, self.callback_id, self.header = json.loads(ids)


class Elsewhere:
    """The project with its workers, and the ways to look at it."""

    folder = HERE

    def __init__(
        self, processes: Processes, broker: str, backend: str, *, store: str | None = None, **settings: Any
    ) -> None:
        self.processes, self.instrumented, self._store = processes, store is not None, store
        more = {"CHORDWATCH_STORE_URL": store} if store else {"PROJECT_BARE": "1"}
        self.environment = clean_environment(
            PROJECT_BROKER=broker,
            PROJECT_BACKEND=backend,
            PROJECT_SETTINGS=json.dumps(settings),
            CHORDWATCH_HEARTBEAT_INTERVAL="0.5",
            C_FORCE_ROOT="1",
            **more,
        )

    def worker(self, name: str = "w1", *options: str, concurrency: int = 2) -> subprocess.Popen[bytes]:
        """Start a worker on the default queue; return it when it is ready."""
        start = ("worker", "-n", f"{name}@here", "-c", str(concurrency), "-l", "INFO")
        quiet = ("--without-gossip", "--without-mingle", *options)
        worker = self.processes.start(
            name, *celery("-A", "project", *start, *quiet), cwd=self.folder, env=self.environment
        )
        wait_until(lambda: " ready." in self.processes.log(name), f"worker {name} is ready")
        return worker

    def send(self, *header: Part, body: str | None = None) -> Sent:
        """Send a chord of `(task, *arguments, queue or None)`; its callback goes to the queue `body`.

        Where it is recorded its publishing is: a producer that ends gives its records a second, and a machine that is
        held up for longer loses them; then another one is sent.
        """
        for _ in range(3):
            sent = self._sent(header, body)
            if self._store is None or self._published(sent):
                break
        return sent

    def _published(self, sent: Sent) -> bool:
        store = RedisStore(self._store, client_name="chordwatch:test")
        try:
            recorded = store.get(sent.chord_id)
        finally:
            store.close()
        told = {task.task_id for task in recorded.chord.header if task.published_at} if recorded else set()
        return told >= set(sent.header)

    def _sent(self, header: Sequence[Part], body: str | None) -> Sent:
        done = run(
            sys.executable,
            "-c",
            _SEND,
            json.dumps([header, body]),
            cwd=self.folder,
            env=self.environment,
        )
        assert done.returncode == 0, done.stderr
        return Sent(done.stdout)

    def chords(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours as a user would."""
        return run(*celery("-A", "project", "chords", *arguments), cwd=self.folder, env=self.environment)

    @contextmanager
    def monitor(self) -> Iterator[httpx.Client]:
        """Run the monitor; give a client of its address when its first look is done. It ends as a user ends it."""
        command = celery("-A", "project", "chords", "monitor", "--port", "0", "--interval", "1")
        process = self.processes.start("monitor", *command, cwd=self.folder, env=self.environment)

        def address() -> re.Match[str] | None:
            return re.search(r"http://127\.0\.0\.1:\d+", self.processes.log("monitor"))

        with httpx.Client(base_url=wait_until(address, "the address")[0], timeout=20) as client:
            wait_until(lambda: client.get("/readyz").status_code == 200, "the first look")
            yield client
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0, self.processes.log("monitor")

    def explained(self, sent: Sent) -> dict[str, Any]:
        """Return the chord as `explain` prints it."""
        done = self.chords("explain", sent.chord_id, "--format", "json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def explained_when(
        self, sent: Sent, true: Callable[[Mapping[str, Any]], bool], what: str, seconds: float = 60.0
    ) -> dict[str, Any]:
        """Explain the chord until `true` says so.

        Of one that nobody recorded there may be no trace while its poll is on its way from the broker to a worker.
        """

        def seen() -> dict[str, Any] | None:
            done = self.chords("explain", sent.chord_id, "--format", "json")
            if not self.instrumented and done.returncode == 1 and "No chord found" in done.stderr:
                return None
            assert done.returncode == 0, done.stderr
            chord: dict[str, Any] = json.loads(done.stdout)
            verdicts = json.dumps([v["cause"] for v in chord["verdicts"]])
            print(verdicts, chord["state"], chord["counted"], done.stderr.strip())
            return chord if true(chord) else None

        found = wait_until(seen, what, seconds)
        assert found
        return found


def named(cause: str) -> Callable[[Mapping[str, Any]], bool]:
    """Return whether a chord's first verdict is of this cause."""
    return lambda chord: [v["cause"] for v in chord["verdicts"]][:1] == [cause]


def causes(chord: Mapping[str, Any]) -> list[str]:
    """Return the causes of a chord's verdicts, in order."""
    return [verdict["cause"] for verdict in chord["verdicts"]]
