"""The shop with everything an operator has: Redis, two workers, a monitor, the dashboard; and real faults."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from chordwatch.recording.records import Heartbeat
from chordwatch.store.redis_store import RedisStore
from tests.contract.batches import new_id
from tests.support.polling import wait_until
from tests.support.receiver import Receiver
from tests.support.servers import Processes, RedisServer, celery, clean_environment, free_port, kill, run

HERE = Path(__file__).parent / "project"
INTERVAL = 1.0


class Stack:
    """What runs for one module of tests; `chords` are the ids by kind (see project/send.py)."""

    def __init__(self, processes: Processes, project: str = "shop", **settings: str) -> None:
        self.processes, self.project = processes, project
        self.redis = RedisServer(processes)
        self.store = RedisStore(self.redis.url(0), client_name="chordwatch:test")
        self.webhook = Receiver()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = {"CHORDWATCH_DASHBOARD_URL": self.url, **settings}
        self.chords: dict[str, str] = {}

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of every process of the shop."""
        urls = {"SHOP_BROKER": self.redis.url(0), "SHOP_BACKEND": self.redis.url(1)}
        # For scripts in that folder; Celery's commands look there by themselves.
        return clean_environment(**urls, PYTHONPATH=str(HERE), **self._settings, **more)

    def start_worker(self, name: str, *queues: str, concurrency: int = 2, log: str | None = None) -> Any:
        """Start a prefork worker, and wait until it is ready."""
        log = log or name
        process = self.processes.start(
            log,
            *celery("-A", self.project, "worker", "-n", f"{name}@shop", "-c", str(concurrency), "-l", "INFO"),
            *(word for queue in queues for word in ("-Q", queue)),
            cwd=HERE,
            env=self.environment(),
        )
        wait_until(lambda: " ready." in self.processes.log(log), f"{name} is ready")
        return process

    def send(self, *arguments: str, script: str = "send.py") -> dict[str, str]:
        """Send chords from a process of their own; return their ids by kind."""
        done = run(sys.executable, script, *arguments, cwd=HERE, env=self.environment())
        assert done.returncode == 0, done.stderr
        sent: dict[str, str] = json.loads(done.stdout)
        self.chords |= sent
        return sent

    def start_monitor(self) -> Any:
        """Start the monitor, and wait until it has taken a look."""
        hook = f"http://{self.webhook.place}/hook"
        process = self.processes.start(
            "monitor",
            *celery("-A", self.project, "chords", "monitor", "--port", "0", "--interval", str(INTERVAL)),
            cwd=HERE,
            env=self.environment(CHORDWATCH_WEBHOOK=hook),
        )
        printed = wait_until(
            lambda: re.search(r"http://127\.0\.0\.1:\d+", self.processes.log("monitor")), "the address"
        )
        wait_until(lambda: httpx.get(f"{printed[0]}/readyz").status_code == 200, "the monitor has looked")
        return process

    def start_dashboard(self, port: int | None = None, **settings: str) -> str:
        """Start the dashboard as an operator does, and wait until it answers; return where."""
        port = port or self.port
        self.processes.start(
            f"dashboard-{port}",
            *celery("-A", self.project, "chords", "dashboard", "--port", str(port)),
            cwd=HERE,
            env=self.environment(**settings),
        )
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(f"{url}/_stcore/health"), "the dashboard answers")
        return url

    def cause(self, chord_id: str) -> str | None:
        """Return the cause that the monitor has named first of a chord that hangs."""
        judgement = self.store.judgements([chord_id]).get(chord_id)
        verdicts = judgement.chord.verdicts if judgement else ()
        return next((verdict.cause for verdict in verdicts if verdict.outcome == "hung"), None)

    def wait_for_cause(self, kind: str, cause: str) -> None:
        """Wait until the monitor has named the cause of a chord."""
        wait_until(lambda: self.cause(self.chords[kind]) == cause, f"{kind} hangs: {cause}", 90)

    def alerted(self, kind: str) -> str:
        """Return the link to a chord that the webhook was given."""
        links = [told["dashboard_url"] for _, _, told in list(self.webhook.received) if self._of(told, kind)]
        assert links, f"the webhook was told nothing of {kind}"
        return str(links[0])

    def _of(self, told: dict[str, Any], kind: str) -> bool:
        return bool(told["chord"]["chord_id"] == self.chords[kind])

    def close(self) -> None:
        """End everything."""
        self.webhook.close()
        self.store.close()
        self.processes.stop(3)
        self.redis.close()


def broken_shop(processes: Processes) -> Stack:
    """Return the shop after a worker was killed in a chord's header, with a queue that nobody reads."""
    stack = Stack(processes)
    stack.start_worker("main", "celery", concurrency=3)
    doomed = stack.start_worker("images", "images")
    stack.start_monitor()
    stack.start_dashboard()
    stack.send()
    wait_until(lambda: "images.resize" in processes.log("images"), "the doomed worker has its task")
    wait_until(lambda: _ended(stack, "retried") and _ended(stack, "failed"), "two chords have ended", 60)
    kill(doomed)
    stack.wait_for_cause("unread", "queue_unconsumed")
    stack.wait_for_cause("lost", "worker_lost")
    return stack


def _ended(stack: Stack, kind: str) -> bool:
    found = stack.store.get(stack.chords[kind])
    return bool(found) and found.chord.finished_at is not None and found.chord.finished_at < time.time()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def bazaar(processes: Processes, names: Sequence[str]) -> Stack:
    """Return a project in which everything has one of these names: tasks, errors, queues, task ids and workers."""
    stack = Stack(processes, "bazaar", SHOP_NAMES=json.dumps(names))
    for name in names:
        stack.store.beat(
            Heartbeat(
                node=f"{name}@bazaar", boot=new_id(), pid=1, queues=("celery",), concurrency=1, pool="prefork"
            )
        )
    stack.start_worker("<img src=x onerror=alert(1)> **bold**", log="worker")
    stack.start_monitor()
    stack.start_dashboard()
    stack.send(script="send_names.py")
    for name in names:
        stack.wait_for_cause(name, "queue_unconsumed")
    return stack
