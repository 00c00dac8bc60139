"""What Beat starts: a report every morning, and a small one every few seconds to see something move."""

from __future__ import annotations

import time
from typing import Any

from celery import Signature, chord

from tasks.celery import app

REGIONS = ("north", "east", "south", "west")


@app.task(acks_late=True, soft_time_limit=30, time_limit=40)
def sales(region: str, seconds: float = 0.2) -> dict[str, Any]:
    """Count the sales of a region."""
    time.sleep(seconds)
    return {"region": region, "sales": sum(region.encode())}


@app.task
def combine(regions: list[dict[str, Any]], title: str) -> dict[str, Any]:
    """Put the regions' numbers into one report."""
    return {"title": title, "total": sum(region["sales"] for region in regions), "regions": regions}


def report(title: str, seconds: float) -> Signature:
    """Return the chord that makes a report."""
    return chord([sales.s(region, seconds) for region in REGIONS], combine.s(title))


# A chord that is published from a task is waited for by nobody: the task returns the callback's id.
@app.task
def daily() -> str:
    """Start the report of the day."""
    callback_id: str = report("daily", 1.0).delay().id
    return callback_id


@app.task
def pulse() -> str:
    """Start a report that takes no time."""
    callback_id: str = report("pulse", 0.2).delay().id
    return callback_id
