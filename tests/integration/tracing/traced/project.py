"""A project whose processes trace: instrumented where `RECORDS` is set, and with OpenTelemetry's where `BESIDE` is.

`BESIDE` says when the other instrumentation is switched on: before ours, or after.
"""

from __future__ import annotations

import os
import time

from celery import Celery, Task, signals
from opentelemetry import baggage

import chordwatch

app = Celery("traced", broker=os.environ["BROKER"], backend=os.environ["BACKEND"])
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_prefetch_multiplier = 1
if os.environ.get("LIMIT"):
    app.conf.chordwatch_trace_header_limit = int(os.environ["LIMIT"])


def trace_beside(**_: object) -> None:
    """Switch OpenTelemetry's own instrumentation on, as its documentation has it."""
    from exporting import instrument_beside  # noqa: PLC0415  # nothing of the SDK where nobody traces

    instrument_beside()


BESIDE = os.environ.get("BESIDE")
if BESIDE == "before":
    trace_beside()
if os.environ.get("RECORDS"):
    chordwatch.instrument(app)
if BESIDE == "after":
    signals.worker_process_init.connect(trace_beside, weak=False)


@app.task
def add(*numbers: int) -> int:
    return sum(numbers)


@app.task
def nap(seconds: float) -> int:
    time.sleep(seconds)
    return 1


@app.task(bind=True, max_retries=5)
def flaky(self: Task, failures: int) -> int:
    if self.request.retries < failures:
        raise self.retry(exc=ConnectionError("no answer"), countdown=0)
    return 1


@app.task
def fail() -> None:
    raise ValueError("wrong")


@app.task
def total(parts: list[int]) -> int:
    return sum(parts)


@app.task
def double(number: int) -> int:
    return 2 * number


@app.task
def tenant(*_: object) -> str:
    return str(baggage.get_baggage("tenant"))


@app.task
def first(parts: list[str]) -> str:
    return ",".join(parts)


@app.task(bind=True)
def swapped(self: Task, *_: object) -> None:
    raise self.replace(add.si(1, 2))
