"""Tasks of the shop."""

from __future__ import annotations

import time
from typing import Any

from celery import shared_task
from celery.exceptions import Ignore


@shared_task
def add(x: int, y: int) -> int:
    return x + y


@shared_task
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@shared_task
def boom() -> None:
    raise ValueError("boom")


@shared_task
def ignore() -> None:
    raise Ignore


@shared_task(ignore_result=True)
def quiet(x: int) -> int:
    return x


@shared_task
def collect(parts: list[Any]) -> list[Any]:
    return parts
