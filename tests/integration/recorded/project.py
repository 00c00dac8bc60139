"""A project with the one line that records its chords. Its tasks write down themselves when they ran."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from celery import Celery

import chordwatch

app = Celery("recorded", broker=os.environ["PROJECT_BROKER"], backend=os.environ["PROJECT_BACKEND"])
app.conf.broker_connection_retry_on_startup = True
chordwatch.instrument(app)

#: Where tasks write what they did, a line each. A file, because another server would take its time.
NOTES = Path(os.environ["PROJECT_NOTES"])


@app.task(bind=True)
def work(self: Any, seconds: float) -> float:
    started = time.time()
    time.sleep(seconds)
    with NOTES.open("a") as notes:
        notes.write(json.dumps([self.request.id, started, time.time(), self.request.hostname]) + "\n")
    return seconds


@app.task(bind=True)
def stumble(self: Any) -> int:
    if self.request.retries == 0:
        raise self.retry(countdown=0, max_retries=1)
    return 1


@app.task
def total(parts: list[float]) -> float:
    return sum(parts)
