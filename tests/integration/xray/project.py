"""A Celery project as a stranger has it: nothing of chordwatch in it. All that tests vary is in the environment."""

from __future__ import annotations

import functools
import json
import os
import time
from typing import Any

from celery import Celery
from celery.exceptions import Ignore

app = Celery("project", broker=os.environ["PROJECT_BROKER"], backend=os.environ["PROJECT_BACKEND"])
app.conf.broker_connection_retry_on_startup = True
# Tests load this module several times into one process, and Celery shares tasks among all apps by default.
task = functools.partial(app.task, shared=False)
app.conf.update(json.loads(os.environ.get("PROJECT_SETTINGS", "{}")))


@task
def add(x: int, y: int) -> int:
    return x + y


@task
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@task
def linger(_: Any, seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@task
def collect(parts: list[Any]) -> list[Any]:
    return parts


@task
def boom(*_: Any) -> None:
    raise ValueError("boom")


@task
def ignore() -> None:
    raise Ignore


@task(ignore_result=True)
def quiet(x: int) -> int:
    return x


@task(bind=True, max_retries=3)
def again(self: Any, countdown: float) -> str:
    if self.request.retries == 0:
        raise self.retry(countdown=countdown)
    return "done"


@task(bind=True)
def grow(self: Any, seconds: float) -> str:
    self.add_to_chord(nap.s(seconds))
    return "grown"
