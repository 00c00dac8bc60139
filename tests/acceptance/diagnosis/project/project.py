"""A Celery project on default settings; INSTRUMENTED adds the one line that records its chords."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from celery import Celery

app = Celery("project", broker=os.environ["PROJECT_BROKER"], backend=os.environ["PROJECT_BACKEND"])
app.conf.broker_connection_retry_on_startup = True
app.conf.update(json.loads(os.environ.get("PROJECT_SETTINGS", "{}")))
if os.environ.get("PROJECT_INSTRUMENTED"):
    import chordwatch

    chordwatch.instrument(app)


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@app.task
def collect(parts: list[Any]) -> list[Any]:
    return parts
