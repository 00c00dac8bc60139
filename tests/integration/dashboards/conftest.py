"""A real Redis and real server processes on free ports of 127.0.0.1, each stopped by its own process id."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The helpers beside the tests, and the dashboard's modules as Streamlit finds them.
for folder in (Path(__file__).parent, Path(__file__).parents[3] / "dashboards"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from dashboard_servers import Server, Start, listens  # noqa: E402  # after its folder is on sys.path

from tests.support.polling import wait_until  # noqa: E402  # as above
from tests.support.servers import (  # noqa: E402  # as above
    ROOT,
    clean_environment,
    end,
    free_port,
    redis_binary,
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a process and waits until it answers; all are stopped at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str, url: str, ready: Callable[[], bool], cwd: Path = ROOT, **env: str) -> Server:
        log = tmp_path / f"server-{len(started)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=cwd,
                env=clean_environment(**env),
            )
        started.append(process)
        try:
            wait_until(lambda: ready() or process.poll() is not None, " ".join(command))
            assert process.poll() is None, f"It ended with {process.returncode}"
        finally:
            print(log.read_text(errors="replace"))
        return Server(url=url, log=log, process=process)

    yield start
    for process in reversed(started):
        process.terminate()
        end(process, 10)


@pytest.fixture
def start_redis(start: Start, tmp_path: Path) -> Callable[[int], Server]:
    """Return a function that starts an empty Redis on a port."""
    binary = redis_binary()

    def start_redis(port: int) -> Server:
        options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(tmp_path))
        command = (binary, "--port", str(port), *options)
        return start(*command, url=f"redis://127.0.0.1:{port}", ready=lambda: listens(port))

    return start_redis


@pytest.fixture
def redis_url(start_redis: Callable[[int], Server]) -> str:
    """Return the URL of a Redis of this test's own."""
    return start_redis(free_port()).url


@pytest.fixture
def project(tmp_path: Path, redis_url: str) -> Path:
    """Return the folder of a small Celery project, importable there as `small_project`."""
    (tmp_path / "small_project.py").write_text(
        "from celery import Celery\n"
        f"app = Celery('small_project', broker='{redis_url}/0', backend='{redis_url}/1')\n"
        "@app.task(name='small.part')\n"
        "def part(number): return number\n"
        "@app.task(name='small.report')\n"
        "def report(results): return sum(results)\n"
    )
    return tmp_path
