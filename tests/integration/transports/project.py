"""A project whose broker and result backend are whatever the environment says; bare where `PROJECT_BARE` is set."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from celery import Celery
from celery.exceptions import Ignore

import chordwatch

app = Celery("elsewhere", broker=os.environ["PROJECT_BROKER"], backend=os.environ["PROJECT_BACKEND"])
app.conf.broker_connection_retry_on_startup = True
app.conf.update(json.loads(os.environ.get("PROJECT_SETTINGS", "{}")))
if not os.environ.get("PROJECT_BARE"):
    chordwatch.instrument(app)


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@app.task
def boom() -> None:
    raise ValueError("boom")


@app.task
def ignore() -> None:
    raise Ignore


@app.task(ignore_result=True)
def quiet(x: int) -> int:
    return x


@app.task
def collect(parts: list[Any]) -> list[Any]:
    return parts
