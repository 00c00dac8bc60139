"""A small shop whose report asks six suppliers for prices; one is busy at first, one is slow."""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery

import chordwatch

app = Celery("shop", broker=os.environ["SHOP_BROKER"], backend=os.environ["SHOP_BACKEND"])
app.conf.broker_connection_retry_on_startup = True
chordwatch.instrument(app)

SECONDS = {"north": 0.5, "east": 0.7, "south": 0.45, "west": 0.6, "harbour": 2.0, "airport": 0.4}
BUSY = {"west": 2}


@app.task(bind=True)
def prices(self: Any, supplier: str) -> float:
    """Ask a supplier, again after a while when it is busy."""
    if self.request.retries < BUSY.get(supplier, 0):
        time.sleep(0.15)
        raise self.retry(exc=ConnectionError("the supplier is busy"), countdown=0.3)
    time.sleep(SECONDS[supplier])
    return SECONDS[supplier]


@app.task
def report(found: list[float]) -> float:
    """Write the report."""
    time.sleep(0.35)
    return sum(found)
