"""A Celery project as a stranger has it: nothing of chordwatch in it. All that tests vary is in the environment."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from celery import Celery
from celery.exceptions import Ignore

app = Celery("project", broker=os.environ["PROJECT_BROKER"], backend=os.environ["PROJECT_BACKEND"])
app.conf.broker_connection_retry_on_startup = True
app.conf.update(json.loads(os.environ.get("PROJECT_SETTINGS", "{}")))


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@app.task
def linger(_: Any, seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@app.task
def collect(parts: list[Any]) -> list[Any]:
    return parts


@app.task
def boom(*_: Any) -> None:
    raise ValueError("boom")


@app.task
def ignore() -> None:
    raise Ignore


@app.task(ignore_result=True)
def quiet(x: int) -> int:
    return x


@app.task(bind=True, max_retries=3)
def again(self: Any, countdown: float) -> str:
    if self.request.retries == 0:
        raise self.retry(countdown=countdown)
    return "done"


@app.task(bind=True)
def grow(self: Any, seconds: float) -> str:
    self.add_to_chord(nap.s(seconds))
    return "grown"
