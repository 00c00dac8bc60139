"""What goes wrong with chords in production, made to happen on purpose. Every fault ends what it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import chord
from celery.exceptions import Ignore
from kombu.entity import Exchange, Queue

from tasks.celery import app
from tasks.launch import Started, launch
from tasks.shapes import fail, square, total

ROOT = Path(__file__).resolve().parents[1]
VICTIM_SECONDS = 60.0
TWO_HOURS = 2 * 3600


class FaultError(Exception):
    """The fault could not be brought about."""


@app.task(soft_time_limit=VICTIM_SECONDS + 10, time_limit=VICTIM_SECONDS + 15)
def long_work(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@app.task
def ignored() -> None:
    """Do what looks harmless and is fatal in a header: the part is never counted."""
    raise Ignore


@app.task(bind=True, max_retries=1)
def rate_limited(self: Any) -> str:
    """Do what an API with a quota makes people do: come back in two hours."""
    if self.request.retries:
        return "done"
    raise self.retry(countdown=TWO_HOURS)


def worker_killed() -> Started:
    """Kill a worker while it runs a part that was acknowledged early, so nothing brings it back."""
    queue = f"victim-{uuid.uuid4().hex[:8]}"
    victim = long_work.s(VICTIM_SECONDS).set(queue=queue, task_id=str(uuid.uuid4()))
    with _victim_worker(queue):
        started = launch(chord([square.s(1), square.s(2), victim], total.s()))
        _wait_until_started(victim.options["task_id"])
    return started


@contextmanager
def _victim_worker(queue: str) -> Iterator[None]:
    """Run a worker of our own for `queue`, and kill it with all its children, as a node that dies does."""
    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-Q", queue, "-n", f"{queue}@%h"]
    options = ["-c", "1", "-l", "ERROR", "--without-gossip", "--without-mingle"]
    worker = subprocess.Popen(  # noqa: S603  # our own interpreter and arguments
        command + options,
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        _delete_queue(queue)


def _delete_queue(name: str) -> None:
    with app.connection_for_write() as connection:
        # Declared once more, because only then does kombu know the bindings to delete.
        queue = Queue(name, Exchange(name), routing_key=name, channel=connection.default_channel)  # type: ignore[no-untyped-call]
        queue.declare()  # type: ignore[no-untyped-call]
        queue.delete()  # type: ignore[no-untyped-call]


def _wait_until_started(task_id: str, timeout_seconds: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_seconds
    while app.AsyncResult(task_id).state != "STARTED":
        if time.monotonic() > deadline:
            raise FaultError(f"task {task_id} did not start within {timeout_seconds:.0f} s")
        time.sleep(0.05)


def queue_unconsumed() -> Started:
    """Route a part to a queue that no worker consumes."""
    return launch(chord([square.s(1), square.s(2), square.s(3).set(queue="gpu")], total.s()))


def callback_queue_unconsumed() -> Started:
    """Route the callback to a queue that no worker consumes."""
    return launch(chord([square.s(1), square.s(2)], total.s().set(queue="mail")))


def header_ignored() -> Started:
    """Raise Ignore() in a part."""
    return launch(chord([square.s(1), square.s(2), ignored.s()], total.s()))


def producer_dies() -> Started:
    """Let a producer die after the second of four messages."""
    chord_id, callback_id = str(uuid.uuid4()), str(uuid.uuid4())
    producer = subprocess.run(  # noqa: S603  # our own interpreter and arguments
        [sys.executable, "-m", "tasks.dying_producer", chord_id, callback_id],
        cwd=ROOT,
        check=False,
        timeout=30,
    )
    if producer.returncode != -signal.SIGKILL:
        raise FaultError(f"the producer was to die and ended with {producer.returncode}")
    return Started(chord_id, callback_id, callback_id)


def size_key_deleted() -> Started:
    """Delete the number of parts to wait for, as an eviction or a FLUSHDB does, while the parts run."""
    started = launch(chord([square.s(1, 3.0), square.s(2, 3.0)], total.s()))
    app.backend.client.delete(app.backend.get_key_for_group(started.chord_id, ".s"))
    return started


def retry_in_two_hours() -> Started:
    """Let a part retry in two hours."""
    return launch(chord([square.s(1), square.s(2), rate_limited.s()], total.s()))


def nested_failure() -> Started:
    """Let an inner chord fail: its ChordError never reaches the outer one, which waits (#9674)."""
    inner = chord([square.s(1), fail.s("no such part")], total.s())
    return launch(chord([inner, square.s(2)], total.s()))
