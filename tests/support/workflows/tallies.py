"""What the counters must have come to, from what became of the chords. Keys are those of `Counters`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.support.workflows.oracle import ACCUMULATE, Fate, Task

FINISHED = ("succeeded", "failed")


@dataclass
class Tallies:
    """Expected counters."""

    started: Counter[str] = field(default_factory=Counter)
    finished: Counter[tuple[str, str]] = field(default_factory=Counter)
    header_tasks: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    callbacks: Counter[tuple[str, str]] = field(default_factory=Counter)
    retries: Counter[tuple[str, str, str]] = field(default_factory=Counter)


def tally(fates: Iterable[Fate], names: Mapping[str, str]) -> Tallies:
    """Return the counters after these chords; `names` gives a chord's callback name by its id."""
    total = Tallies()
    for fate in fates:
        callback = names[fate.chord_id]
        total.started[callback] += 1
        if fate.state in FINISHED:
            total.finished[callback, fate.state] += 1
        for task in fate.header.values():
            for event, count in _events(task):
                total.header_tasks[callback, task.name, event] += count
        for task in fate.steps.values():
            for event, count in _events(task):
                total.callbacks[callback, event] += count
        for role, tasks in (("header", fate.header), ("callback", fate.steps)):
            for task in tasks.values():
                total.retries[callback, task.name, role] += _ended(task)["retrying"]
    return total


def _events(task: Task) -> Iterator[tuple[str, int]]:
    yield "published", task.published
    if task.name == ACCUMULATE:
        ran = int(task.state in FINISHED)
        yield from (("started", ran), (task.state, ran))
        return
    yield "started", len(task.runs)
    ended = _ended(task)
    yield from (
        ("succeeded", ended["succeeded"]),
        ("failed", ended["failed"]),
        ("retried", ended["retrying"]),
    )
    if task.state == "revoked":
        yield "revoked", 1


def _ended(task: Task) -> Counter[str]:
    ends: Counter[str] = Counter()
    for (_, end), count in task.ends.items():
        ends[end] += count
    return ends
