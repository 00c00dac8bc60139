"""Waiting for something to become true, instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: A machine may be so many times slower than the one on which the waits' seconds were set. Whoever waits claims
#: nothing about time: what does, measures.
_SLOWER = 3
#: Between two looks count as so many seconds at the most: a machine that was suspended has not waited.
_LONGEST_LOOK = 5.0


def wait_until(predicate: Callable[[], T], what: str, seconds: float = 30.0) -> T:
    """Return the predicate's first true value; fail, naming `what`, when there is none in the time of a slow machine.

    `seconds` are those that suffice on a quick one.
    """
    seconds *= _SLOWER
    waited, looked_at = 0.0, time.monotonic()
    while not (value := predicate()):
        assert waited < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
        now = time.monotonic()
        waited, looked_at = waited + min(now - looked_at, _LONGEST_LOOK), now
    return value
