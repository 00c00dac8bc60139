"""One Redis, model service, workflow API, Beat and a worker per queue, for all tests of the demo's tasks.

All scenarios are started at once, so that the whole takes as long as the slowest.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.polling import wait_until
from tests.support.servers import ROOT, clean_environment, end, free_port, redis_binary

FINAL = {"SUCCESS", "FAILURE", "REVOKED"}
META = "celery-task-meta-"


class Stack:
    """The running processes, and what can be seen of them in Redis."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redis_port, model_port, api_port = free_port(), free_port(), free_port()
        self.api_url = f"http://127.0.0.1:{api_port}"
        self.model_url = f"http://127.0.0.1:{model_port}"
        self.environment = {
            **clean_environment(),
            "DEMO_REDIS_URL": f"redis://127.0.0.1:{self.redis_port}",
            "MODEL_SERVICE_URL": self.model_url,
            "DEMO_DATA_DIR": str(folder / "data"),
            "PYTHONPATH": str(ROOT),
        }
        self.broker, self.backend, self.records = (
            Redis(port=self.redis_port, db=db, decode_responses=True) for db in range(3)
        )
        self._ports = {"model_service": model_port, "workflow_api": api_port}
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start everything and wait until it answers; workers take what is sent meanwhile when they are up."""
        self.spawn(
            "redis", redis_binary(), "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", ""
        )
        wait_until(self._redis_answers, "Redis answers")
        for name, port in self._ports.items():
            self.spawn(name, sys.executable, "-m", f"tasks.{name}", "--port", str(port))
        for queue, concurrency in {"critical": 1, "default": 8, "low": 3}.items():
            self.worker(queue, concurrency)
        self.celery("beat", "beat", "--schedule", str(self.folder / "schedule"), "--pidfile", "")
        for url in (self.model_url, self.api_url):
            wait_until(lambda url=url: answers(f"{url}/health"), f"{url} answers")

    def worker(self, queue: str, concurrency: int) -> None:
        """Start a worker for one queue."""
        options = ("-Q", queue, "-c", str(concurrency), "-n", f"{queue}@%h", "-l", "INFO")
        self.celery(queue, "worker", *options, "--without-gossip", "--without-mingle")

    def celery(self, name: str, *arguments: str) -> None:
        """Start a celery command."""
        self.spawn(name, sys.executable, "-m", "celery", "-A", "tasks", *arguments)

    def spawn(self, name: str, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a process in a group of its own, with a log of its own."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**self.environment, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def stop(self) -> None:
        """End what was started, Redis last."""
        redis, *others = self._processes
        for process in others:
            process.terminate()
        deadline = time.monotonic() + 10
        for process in others:
            end(process, max(0.0, deadline - time.monotonic()))
        end(redis, 0)
        for client in (self.broker, self.backend, self.records):
            client.close()

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a Python command to its end."""
        return subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def play(self, what: str) -> Any:
        """Publish in a process of its own; see play.py."""
        done = self.run(str(Path(__file__).with_name("play.py")), what)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def meta(self, task_id: str) -> dict[str, Any]:
        """Return what Celery stored for a task."""
        text: Any = self.backend.get(META + task_id)
        return json.loads(text) if text else {"status": "PENDING", "result": None}

    def outcome(self, task_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """Return the final meta of a task."""
        wait_until(lambda: self.meta(task_id)["status"] in FINAL, f"task {task_id} ends", seconds)
        return self.meta(task_id)

    def metas(self, **fields: Any) -> list[dict[str, Any]]:
        """Return the metas with these fields."""
        texts: Any = self.backend.mget(list(self.backend.scan_iter(META + "*", count=1000)))
        metas = [json.loads(text) for text in texts if text]
        return [meta for meta in metas if all(meta.get(name) == value for name, value in fields.items())]

    def counters(self, chord_id: str | None) -> dict[str, Any]:
        """Return the chord's keys: how many parts are awaited, how many counted, whether it is over."""
        key = f"celery-taskset-meta-{chord_id}"
        size: Any = self.backend.get(f"{key}.s")
        return {
            "size": int(size) if size else None,
            "counted": self.backend.zcard(f"{key}.j"),
            "claim": self.backend.get(f"{key}.c"),
        }

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Return what waits in a queue, of every priority, with `args` decoded."""
        found = []
        for key in self.broker.scan_iter(f"{queue}*"):
            for text in self.broker.lrange(key, 0, -1) if self.broker.type(key) == "list" else []:
                message = json.loads(text)
                message["args"] = json.loads(base64.b64decode(message["body"]))[0]
                found.append(message)
        return found

    def _redis_answers(self) -> bool:
        try:
            return bool(self.broker.ping())
        except RedisConnectionError:
            return False


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("tasks"))
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


def start_workflow(stack: Stack, scenario: str) -> str:
    payload = {"raw": "hello world", "scenario": scenario}
    question = {"project": "demo", "name": "PIPELINE", "payload": payload}
    response = httpx.post(f"{stack.api_url}/api/workflows", json=question)
    assert response.status_code == httpx.codes.CREATED, response.text
    return str(response.json()["id"])


@pytest.fixture(scope="session")
def workflows(stack: Stack) -> dict[str, str]:
    """Start the pipeline over HTTP once in every scenario; by scenario, the workflow's id."""
    return {name: start_workflow(stack, name) for name in ("happy", "flaky", "slow", "down", "partial_fail")}


@pytest.fixture(scope="session")
def started(stack: Stack, workflows: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Start every scenario of the catalogue; by name, the ids it returned."""
    assert workflows, "they take as long as the rest and run beside it"
    played: dict[str, dict[str, Any]] = stack.play("scenarios")
    return played
