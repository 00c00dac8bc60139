"""A Celery project that is recorded; all that a test varies is in the environment."""

from __future__ import annotations

import os
import time

from celery import Celery

import chordwatch

app = Celery("living", broker=os.environ["PROJECT_BROKER"], backend=os.environ["PROJECT_BROKER"])
app.conf.broker_connection_retry_on_startup = True
chordwatch.instrument(app, store_url=os.environ["PROJECT_STORE"], heartbeat_interval=0.2)


@app.task
def compute(seconds: float) -> float:
    """Keep the interpreter busy: no I/O, no sleep, nothing that lets greenlets go on."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        sum(range(1000))
    return seconds


@app.task
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@app.task
def collect(parts: list[float]) -> float:
    return sum(parts)
