"""What happens to a healthy installation in two minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.faults.healthy_bench import Installation

PAUSED, MINUTE, AHEAD = 5.0, 60.0, 100_000
#: A little less than the time after which Redis delivers again what is not acknowledged.
HOUR = 3400.0
WORKERS: dict[str, tuple[tuple[str, ...], float]] = {
    "main": (("-c", "20"), 0.0),
    "recycled": (("-Q", "recycled", "-c", "2", "--max-tasks-per-child", "1"), 0.0),
    "restarted": (("-Q", "restarted", "-c", "2"), 0.0),
    "deep": (("-Q", "deep", "-c", "1"), 0.0),
    "ahead": (("-Q", "ahead", "-c", "2"), MINUTE),
    "behind": (("-Q", "behind", "-c", "2"), -MINUTE),
    # What it does seems to be going on for an hour.
    "idle": (("-Q", "idle", "-c", "1"), -HOUR),
}


def start(installation: Installation) -> None:
    """Start the workers, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        started = [
            pool.submit(installation.worker, name, *options, clock=clock)
            for name, (options, clock) in WORKERS.items()
        ]
        for one in started:
            one.result()


def restarts(installation: Installation) -> None:
    """Restart a worker twice, once after a pause, while it has tasks of chords."""
    options, _ = WORKERS["restarted"]
    names = ("restarted", "restarted, late", "restarted, ETA")
    installation.send(*names)
    installation.until_sent(*names)
    time.sleep(2.0)
    with installation.away():
        installation.end("restarted")
        time.sleep(PAUSED)
        installation.worker("restarted", *options)
    time.sleep(2.0)
    with installation.away():
        installation.end("restarted")
        installation.worker("restarted", *options)


def pauses(installation: Installation) -> None:
    """Stop workers for a while, while they run parts and then while they run a callback."""
    time.sleep(25.0)
    for name in ("paused", "paused in its callback"):
        installation.send(name)
        installation.until_sent(name)
        time.sleep(2.0)
        installation.pause(PAUSED, "main", "recycled")
        time.sleep(1.0)


def duplicates(installation: Installation) -> None:
    """Publish a header slowly, and deliver a part of it again when its chord has finished."""
    installation.send("slow producer", producer="slow")
    installation.until_sent("slow producer")
    time.sleep(5.0)
    installation.send("again slow producer", producer="slow")


def reconnects(installation: Installation) -> None:
    """Cut every connection, twice, when no other chord is under way: a message on its way would really be lost."""
    time.sleep(48.0)
    names = ("disconnected", "disconnected, ETA")
    installation.send(*names)
    installation.until_sent(*names)
    time.sleep(2.0)
    for _ in range(2):
        installation.disconnect()
        time.sleep(4.0)


def backlog(installation: Installation) -> None:
    """Let a chord wait behind 100,000 messages, until somebody takes these away."""
    time.sleep(50.0)
    installation.fill("deep", AHEAD)
    installation.send("behind 100,000")
    installation.until_sent("behind 100,000")
    time.sleep(8.0)
    installation.broker.ltrim("deep", 0, 1)


def pausing_generator(installation: Installation) -> None:
    """Publish a header that comes from a generator which thinks for a minute between two parts."""
    installation.send("pausing generator", producer="pausing")


SCENES: tuple[Callable[[Installation], None], ...] = (
    pausing_generator,
    restarts,
    pauses,
    duplicates,
    reconnects,
    backlog,
)
