"""A project of somebody else, as the README describes one: three files, and one line of them is chordwatch's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chordwatch.store.protocol import Store
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, celery, clean_environment
from tests.support.workflows.recorded import open_store

APP = """\
from celery import Celery

import chordwatch

app = Celery("shop", broker="{broker}", backend="{backend}", include=["shop.tasks"])
chordwatch.instrument(app)
"""
TASKS = """\
import time

from shop.app import app


@app.task
def price(item, seconds=0.0):
    time.sleep(seconds)
    return item * 2


@app.task
def total(prices, seconds=0.0):
    time.sleep(seconds)
    return sum(prices)
"""
SEND = """\
import sys

from celery import chord

from shop.tasks import price, total


def send(items, seconds=0.0):
    order = chord([price.s(item, seconds) for item in range(items)], total.s(seconds)).apply_async()
    return order.parent.id


if __name__ == "__main__":
    print(send(int(sys.argv[1]), float(sys.argv[2])))
"""


class Shop:
    """The project in a folder of its own, on a Redis that is its broker, its result backend, and so the store."""

    def __init__(
        self,
        folder: Path,
        redis: RedisServer,
        processes: Processes,
        *,
        instrumented: bool = True,
        databases: tuple[int, int] = (0, 1),
    ) -> None:
        self.folder, self.redis, self.processes = folder, redis, processes
        package = folder / "shop"
        package.mkdir()
        app = (
            APP
            if instrumented
            else "".join(line for line in APP.splitlines(True) if "chordwatch" not in line)
        )
        broker, backend = (redis.url(database) for database in databases)
        files = {"__init__": "", "app": app.format(broker=broker, backend=backend)}
        for name, text in (files | {"tasks": TASKS, "send": SEND}).items():
            (package / f"{name}.py").write_text(text)

    def worker(self, *options: str, name: str = "shop", **extra: str) -> subprocess.Popen[bytes]:
        """Start a worker named `<name>@here` and wait until it is ready."""
        process = self.processes.start(
            name,
            *celery("-A", "shop.app", "worker", "-n", f"{name}@here", "-l", "INFO", *options),
            cwd=self.folder,
            env=clean_environment(**extra),
        )
        wait_until(lambda: " ready." in self.processes.log(name), f"worker {name} is ready", 60.0)
        return process

    def send(self, items: int, seconds: float = 0.0, **extra: str) -> str:
        """Publish a chord in a process that ends right after; return its id."""
        return self.run("shop.send", str(items), str(seconds), **extra).strip()

    def run(self, module: str, *arguments: str, **extra: str) -> str:
        """Run a module of the project to its end; return what it printed. What Celery says is not our concern."""
        done = subprocess.run(
            (sys.executable, "-m", module, *arguments),
            cwd=self.folder,
            env=clean_environment(**extra),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "chordwatch" not in done.stderr, done.stderr
        return done.stdout

    @contextmanager
    def recorded(self) -> Iterator[Store]:
        """Open the store, as a reader does."""
        with open_store(self.redis.url(0)) as store:
            yield store

    def add(self, module: str, text: str) -> None:
        """Add a file to the project."""
        (self.folder / "shop" / f"{module}.py").write_text(text)
