"""A Celery project on Celery's default settings whose chords are odd and healthy; what varies is in the environment.

HEALTHY_BROKER, HEALTHY_BACKEND, and HEALTHY_INSTRUMENTED, which adds the one line that records chords.
"""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery, chord, group

app = Celery("healthy", broker=os.environ["HEALTHY_BROKER"], backend=os.environ["HEALTHY_BACKEND"])
app.conf.broker_connection_retry_on_startup = True
if os.environ.get("HEALTHY_INSTRUMENTED"):
    import chordwatch

    chordwatch.instrument(app)


@app.task
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@app.task(acks_late=True)
def think(seconds: float) -> float:
    """Take long, without a history of taking less."""
    time.sleep(seconds)
    return seconds


@app.task
def step(_: Any, seconds: float = 0.5) -> float:
    time.sleep(seconds)
    return seconds


@app.task(acks_late=True)
def nap_late(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@app.task(track_started=True)
def nap_tracked(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@app.task(ignore_result=True)
def nap_quiet(seconds: float) -> None:
    time.sleep(seconds)


@app.task
def collect(parts: list[Any], seconds: float = 0.3) -> int:
    time.sleep(seconds)
    return len(parts) if isinstance(parts, list) else 1


@app.task(ignore_result=True)
def collect_quietly(_: list[Any], seconds: float = 3.0) -> None:
    time.sleep(seconds)


@app.task(bind=True, max_retries=3)
def again(self: Any, countdown: float, times: int = 2) -> str:
    if self.request.retries < times:
        raise self.retry(countdown=countdown)
    return "done"


@app.task(bind=True, max_retries=3)
def collect_again(self: Any, parts: list[Any], countdown: float) -> int:
    if self.request.retries < 2:
        raise self.retry(countdown=countdown)
    return len(parts)


@app.task(bind=True)
def grow(self: Any, seconds: float) -> str:
    self.add_to_chord(nap.s(seconds))
    time.sleep(1.0)
    return "grown"


@app.task(bind=True)
def replaced(self: Any, by: str, seconds: float) -> Any:
    time.sleep(0.5)
    parts = [nap.s(seconds), nap.s(seconds / 2)]
    raise self.replace(
        {"task": lambda: parts[0], "group": lambda: group(parts), "chord": lambda: chord(parts, collect.s())}[
            by
        ]()
    )


@app.task(bind=True)
def collect_replaced(self: Any, _: list[Any]) -> Any:
    raise self.replace(chord([nap.s(3), nap.s(2)], collect.s()))


@app.task(rate_limit="12/m")
def limited() -> int:
    return 1


@app.task
def launch() -> str:
    """Send a chord from inside a task, as web hooks and periodic tasks do."""
    chord([nap.s(2), nap.s(4)], collect.s())()
    return "sent"


@app.task(ignore_result=True)
def noise() -> None:
    time.sleep(0.02)
