"""A shop's Celery project on default settings: what its web process and its workers import. Its chords are recorded."""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery

import chordwatch

app = Celery("shop", broker=os.environ["SHOP_BROKER"], backend=os.environ["SHOP_BACKEND"])
app.conf.broker_connection_retry_on_startup = True
chordwatch.instrument(app)

#: Longer than any test waits.
FOR_EVER = 600.0


def _work(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@app.task(name="images.resize")
def resize(seconds: float) -> float:
    return _work(seconds)


@app.task(name="images.album")
def album(parts: list[Any]) -> int:
    return len(parts)


@app.task(name="reports.section")
def section(seconds: float) -> float:
    return _work(seconds)


@app.task(name="reports.publish")
def publish(parts: list[Any]) -> int:
    return len(parts)


@app.task(name="exports.write")
def write(seconds: float) -> float:
    return _work(seconds)


@app.task(name="exports.upload")
def upload(parts: list[Any]) -> int:
    return len(parts)


@app.task(name="imports.fetch", bind=True, max_retries=3)
def fetch(self: Any, seconds: float, refusals: int = 0) -> float:
    """Be refused so many times, then answer after so many seconds."""
    if self.request.retries < refusals:
        refused = ConnectionError(f"the supplier refused request {self.request.retries + 1}")
        raise self.retry(exc=refused, countdown=0.5)
    return _work(seconds)


@app.task(name="imports.load")
def load(parts: list[Any]) -> int:
    time.sleep(0.3)
    return len(parts)


@app.task(name="invoices.check")
def check(number: int) -> int:
    if number == 3:
        raise ValueError("invoice 3 has no address")
    return number


@app.task(name="invoices.send")
def send(parts: list[Any]) -> int:
    return len(parts)
