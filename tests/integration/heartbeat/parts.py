"""What both projects of this folder run."""

from __future__ import annotations

import time

from celery import shared_task


@shared_task
def compute(seconds: float) -> float:
    """Keep the interpreter busy: no I/O, no sleep, nothing that lets greenlets go on."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        sum(range(1000))
    return seconds


@shared_task
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@shared_task
def collect(parts: list[float]) -> float:
    return sum(parts)
