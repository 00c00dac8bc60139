"""What the counters must have come to, from what became of the chords. Keys are those of `Counters`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.support.workflows.oracle import ACCUMULATE, CallbackKey, Fate, Task

FINISHED = ("succeeded", "failed")
#: What a task's journal calls an end, as an event of the counters; an ignored run is none.
EVENTS = {
    "succeeded": "succeeded",
    "failed": "failed",
    "rejected": "failed",
    "retried": "retried",
    "ignored": "",
}


@dataclass
class Tallies:
    """Expected counters."""

    started: Counter[str] = field(default_factory=Counter)
    finished: Counter[tuple[str, str]] = field(default_factory=Counter)
    header_tasks: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    callbacks: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: Of those, what callbacks of a single task did.
    single: Counter[tuple[str, str]] = field(default_factory=Counter)
    retries: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    #: By callback and task: so many of each event may have been taken for the one before.
    blurred: Counter[tuple[str, str]] = field(default_factory=Counter)


def tally(fates: Iterable[Fate], names: Mapping[str, str]) -> Tallies:
    """Return the counters after these chords; `names` gives a chord's callback name by its id."""
    total = Tallies()
    told_callbacks: set[CallbackKey] = set()
    for fate in fates:
        callback = names[fate.chord_id]
        total.started[callback] += 1
        if fate.state in FINISHED:
            total.finished[callback, fate.state] += 1
        for task in (*fate.header.values(), *fate.steps.values()):
            total.blurred += Counter({(callback, name): count for name, count in task.blurred.items()})
        for task in fate.header.values():
            for name, event, count in _events(task):
                total.header_tasks[callback, name, event] += count * bool(event)
                total.retries[callback, name, "header"] += count * (event == "retried")
        told = fate.twin and fate.callback_key in told_callbacks
        for task in () if told else fate.steps.values():
            for name, event, count in _events(task):
                # Each of the twins was sent one, and what is revoked was revoked to each.
                most = len(task.messages) if fate.twin and event == "revoked" else count
                total.callbacks[callback, event] += most * bool(event)
                surely = bool(event and len(fate.steps) == 1 and not fate.twin and not task.blurred.total())
                total.single[callback, event] += count * surely
                total.retries[callback, name, "callback"] += count * (event == "retried")
        told_callbacks.add(fate.callback_key)  # what is one's callback is not its twin's
    return total


def _events(task: Task) -> Iterator[tuple[str, str, int]]:
    """Yield name, event and how often; a task that was replaced had another name before."""
    for message in task.messages:
        yield message.name, "published", int(not message.copied)
        if message.name == ACCUMULATE and task.state in FINISHED:
            yield from ((message.name, "started", 1), (message.name, task.state, 1))
    for run in task.runs:
        yield run["name"], "started", 1
    for event in task.ended:
        yield event["name"], EVENTS[event["end"]], 1
    if task.state == "revoked":
        yield task.name, "revoked", 1
    if task.counted and not task.messages:  # the step before it in a chain has failed
        yield task.name, task.state, 1
