"""A Celery project on Celery's default settings whose tasks bring faults about; what varies is in the environment.

FAULTS_BROKER, FAULTS_BACKEND, FAULTS_FOLDER (marks and gates), FAULTS_SETTINGS (JSON), and FAULTS_INSTRUMENTED, which
adds the one line that records chords. In a worker (FAULTS_WORKER) three processes die, and one publish is refused, at
moments that cannot be met from outside; `injected` says where.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from celery import Celery
from celery.backends.redis import RedisBackend
from celery.exceptions import Ignore, Reject
from kombu.exceptions import OperationalError
from kombu.messaging import Producer
from kombu.transport.redis import QoS

app = Celery("faults", broker=os.environ["FAULTS_BROKER"], backend=os.environ["FAULTS_BACKEND"])
app.conf.broker_connection_retry_on_startup = True
app.conf.update(json.loads(os.environ.get("FAULTS_SETTINGS", "{}")))
if os.environ.get("FAULTS_INSTRUMENTED"):
    import chordwatch

    chordwatch.instrument(app, heartbeat_interval=0.2)

FOLDER = Path(os.environ["FAULTS_FOLDER"])
#: Longer than the suite waits for anything; whoever still waits then was forgotten.
FOR_EVER = 600.0
TWO_HOURS = 7200.0


def mark(task: Any) -> None:
    """Write down that a task has begun: a line for each run."""
    with (FOLDER / task.request.id).open("a") as marks:
        marks.write(f"{os.getpid()}\n")


def wait_for(gate: str) -> None:
    """Wait until the bench opens the gate."""
    deadline = time.monotonic() + FOR_EVER
    while not (FOLDER / gate).exists() and time.monotonic() < deadline:
        time.sleep(0.05)


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def collect(parts: list[Any]) -> list[Any]:
    return parts


@app.task(bind=True)
def held(self: Any, gate: str) -> int:
    mark(self)
    wait_for(gate)
    return 1


@app.task(bind=True, acks_late=True)
def held_late(self: Any, gate: str) -> int:
    mark(self)
    wait_for(gate)
    return 1


@app.task(bind=True)
def held_callback(self: Any, _: list[Any], gate: str) -> int:
    mark(self)
    wait_for(gate)
    return 1


@app.task(bind=True, acks_late=True)
def held_late_callback(self: Any, _: list[Any], gate: str) -> int:
    mark(self)
    wait_for(gate)
    return 1


@app.task
def boom(*_: Any) -> None:
    raise ValueError("boom")


@app.task
def takes_nothing() -> None:
    """Be a callback that cannot take the results."""


@app.task
def ignore() -> None:
    raise Ignore


@app.task(bind=True, acks_late=True)
def reject_again(self: Any) -> None:
    mark(self)
    time.sleep(0.2)
    raise Reject("again", requeue=True)


@app.task
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True, acks_late=True, reject_on_worker_lost=True)
def die_again(self: Any) -> None:
    mark(self)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True, max_retries=1)
def come_back(self: Any) -> str:
    mark(self)
    raise self.retry(countdown=TWO_HOURS)


@app.task(bind=True, max_retries=5)
def try_again(self: Any) -> int:
    """Succeed at the last of six attempts."""
    if self.request.retries < self.max_retries:
        raise self.retry(countdown=1)
    return 1


@app.task
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@app.task(rate_limit="1/h")
def limited() -> int:
    return 1


@app.task(bind=True)
def wait_for_child(self: Any, queue: str) -> Any:
    mark(self)
    return add.apply_async((1, 1), queue=queue).get(disable_sync_subtasks=False)


@app.task(ignore_result=True)
def quiet(x: int) -> int:
    return x


@app.task(bind=True)
def promise_more(self: Any) -> str:
    """Add a part to the chord and never send it."""
    self.add_to_chord(add.s(1, 1), lazy=True)
    return "promised"


@app.task
def uncounted() -> int:
    """Lose its process after its result is stored and before it is counted."""
    return 1


@app.task
def never_sent(parts: list[Any]) -> list[Any]:
    """Be a callback whose publisher dies when all is counted."""
    return parts


@app.task
def refused(parts: list[Any]) -> list[Any]:
    """Be a callback that the broker refuses."""
    return parts


@app.task
def vanish() -> int:
    """Lose its worker between taking its message from the queue and writing down that it was taken."""
    return 1


def injected() -> None:
    """Let processes die where no signal from outside can be timed."""
    count, publish, append = RedisBackend.on_chord_part_return, Producer.publish, QoS.append

    @functools.wraps(count)
    def dying_count(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        if request.task == uncounted.name:
            os.kill(os.getpid(), signal.SIGKILL)
        return count(self, request, *args, **kwargs)

    @functools.wraps(publish)
    def dying_publish(self: Any, *args: Any, **kwargs: Any) -> Any:
        task = (kwargs.get("headers") or {}).get("task")
        if task == never_sent.name:
            os.kill(os.getpid(), signal.SIGKILL)
        if task == refused.name:
            raise OperationalError("the broker refuses")
        return publish(self, *args, **kwargs)

    @functools.wraps(append)
    def dying_append(self: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        if message.headers.get("task") == vanish.name:
            os.killpg(os.getpgid(0), signal.SIGKILL)
        return append(self, message, *args, **kwargs)

    RedisBackend.on_chord_part_return = dying_count
    Producer.publish = dying_publish
    QoS.append = dying_append


if os.environ.get("FAULTS_WORKER"):
    injected()
