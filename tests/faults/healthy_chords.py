"""Healthy chords by name, odd in one way each. `EARLY` are sent at once; the rest when their scene comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from celery import chain, chord, group
from celery.canvas import Signature
from healthy_project import (
    again,
    collect,
    collect_again,
    collect_quietly,
    collect_replaced,
    grow,
    launch,
    limited,
    nap,
    nap_late,
    nap_quiet,
    nap_tracked,
    replaced,
    step,
    think,
)

LONG, PAUSE, TWO_HOURS = 40.0, 60.0, 7200.0
Build = Callable[[], Any]


def on(queue: str, *seconds: float, task: Any = nap) -> list[Signature]:
    """Return parts of a header for a queue of its own."""
    return [task.s(each).set(queue=queue) for each in seconds]


def paused_header() -> Iterator[Signature]:
    """Yield two parts, and the third a minute later."""
    yield nap.s(0.1)
    yield nap.s(0.2)
    time.sleep(PAUSE)
    yield nap.s(0.3)


def slow_header() -> Iterator[Signature]:
    """Yield a part a second."""
    for _ in range(12):
        time.sleep(1.0)
        yield nap.s(0.1)


def pair(seconds: float = 1.0) -> list[Signature]:
    """Return two parts that take a moment."""
    return [nap.s(seconds), nap.s(seconds / 2)]


def small() -> Any:
    """Return a chord to nest."""
    return chord(pair(), collect.s())


ODD: dict[str, Build] = {
    "long": lambda: chord([nap.s(LONG), nap.s(0.1)], collect.s()),
    "long, acknowledged late": lambda: chord([nap_late.s(LONG), nap.s(0.1)], collect.s()),
    "long, tracked": lambda: chord([nap_tracked.s(LONG / 2), nap.s(0.1)], collect.s()),
    "long callback": lambda: chord(pair(), collect.s(seconds=LONG / 2)),
    "ETA": lambda: chord([nap.s(0.1).set(countdown=LONG / 2), nap.s(0.1)], collect.s()),
    "far ETA": lambda: chord([nap.s(0.1).set(countdown=TWO_HOURS), nap.s(0.1)], collect.s()),
    "callback with ETA": lambda: chord(pair(), collect.s().set(countdown=12)),
    "retries": lambda: chord([again.s(8.0), again.s(0.0), nap.s(0.1)], collect.s()),
    "callback retries": lambda: chord(pair(), collect_again.s(5.0)),
    "grows": lambda: chord([grow.s(6.0), nap.s(0.1)], collect.s()),
    "replaced by a task": lambda: chord([replaced.s("task", 4.0), nap.s(0.1)], collect.s()),
    "replaced by a group": lambda: chord([replaced.s("group", 4.0), nap.s(0.1)], collect.s()),
    "replaced by a chord": lambda: chord([replaced.s("chord", 4.0), nap.s(0.1)], collect.s()),
    "callback replaced": lambda: chord(pair(), collect_replaced.s()),
    "rate limited": lambda: chord([limited.s() for _ in range(4)], collect.s()),
    "parts without results": lambda: chord([nap_quiet.s(4.0), nap_quiet.s(0.1)], collect.s()),
    "callback without result": lambda: chord(pair(), collect_quietly.s()),
    "wide": lambda: chord([nap.s(0.01) for _ in range(300)], collect.s()),
    "far ahead": lambda: chain(nap.si(10.0), chord([nap.si(1.0), nap.si(1.0)], collect.s())),
    "sent by a task": lambda: chord([launch.s(), nap.s(0.1)], collect.s()),
    "group": lambda: group(nap.s(15.0), nap.s(0.1), nap.s(0.1).set(countdown=LONG / 2)),
    "children recycled": lambda: chord(on("recycled", *[0.3] * 20), collect.s()),
    "clock ahead": lambda: chord(on("ahead", 15.0, 0.1, 3.0), collect.s().set(queue="ahead")),
    "clock ahead, late": lambda: chord(on("ahead", 12.0, 0.1, task=nap_late), collect.s()),
    "clock behind": lambda: chord(on("behind", 15.0, 0.1, 3.0), collect.s().set(queue="behind")),
    "clock behind, late": lambda: chord(on("behind", 12.0, 0.1, task=nap_late), collect.s()),
    "idle for an hour": lambda: chord([*on("idle", 25.0, task=think), nap.s(0.1)], collect.s()),
    "clocks differ": lambda: chord([*on("ahead", 8.0, 0.1), *on("behind", 9.0, 0.1)], collect.s(seconds=4.0)),
    "clock behind, callback": lambda: chord(pair(), collect.s(seconds=8.0).set(queue="behind")),
    "clock ahead, callback": lambda: chord(pair(), collect.s(seconds=8.0).set(queue="ahead")),
}
#: The shapes whose sizes Celery 5.7 counts right, see 1.1 (4) of the notes on how chords work.
SHAPES: dict[str, Build] = {
    "single": lambda: chord([nap.s(1)], collect.s()),
    "chain in header": lambda: chord([chain(nap.s(1), step.s()), nap.s(0.1)], collect.s()),
    "chains in header": lambda: chord([chain(nap.s(1), step.s(), step.s()) for _ in range(3)], collect.s()),
    "group in header": lambda: chord([group(pair()), nap.s(0.1)], collect.s()),
    "chain ending in group": lambda: chord(
        [chain(nap.s(1), group(step.s(1), step.s(1))), nap.s(0.1)], collect.s()
    ),
    "chain, group, task": lambda: chord(
        [chain(nap.s(1), group(step.s(), step.s()), collect.s()), nap.s(0.1)], collect.s()
    ),
    "group, task": lambda: chord([chain(group(pair()), collect.s()), nap.s(0.1)], collect.s()),
    "chord in header": lambda: chord([small(), nap.s(0.1)], collect.s()),
    "chord of chords": lambda: chord([small(), small()], collect.s()),
    "chord in chord in chord": lambda: chord([chord([small(), nap.s(0.1)], collect.s())], collect.s()),
    "chain to chord": lambda: chord([chain(nap.si(1), chord([nap.si(1)], collect.s()))], collect.s()),
    "inner callback a group": lambda: chord(
        [chord(pair(), group(collect.s(), collect.s())), nap.s(0.1)], collect.s()
    ),
    "inner callback a chain": lambda: chord(
        [chord(pair(), chain(collect.s(), step.s())), nap.s(0.1)], collect.s()
    ),
    "empty group in header": lambda: chord([group([]), nap.s(0.5)], collect.s()),
    "inner header empty": lambda: chord([chord([], collect.s()), nap.s(0.5)], collect.s()),
    "callback a group": lambda: chord(pair(), group(collect.s(), collect.s(seconds=2))),
    "callback a chain": lambda: chord(pair(), chain(collect.s(), step.s(2), step.s(1))),
    "callback a chord": lambda: chord(pair(), chord([step.s(2), step.s(1)], collect.s())),
    "generator": lambda: chord((nap.s(0.5) for _ in range(3)), collect.s()),
    "generator in chain": lambda: chain(group(nap.s(0.5) for _ in range(3)), collect.s()),
    "chunks in header": lambda: chord(nap.chunks(iter([(0.2,)] * 4), 2).group(), collect.s()),
    "map in header": lambda: chord([nap.map([0.2, 0.2]), nap.s(0.5)], collect.s()),
    "deep groups": lambda: chord([group(nap.s(0.5), group(nap.s(0.2), group(nap.s(0.1))))], collect.s()),
    "chain, group, group": lambda: chord(
        [chain(nap.si(1), group(nap.si(1), nap.si(1)), group(nap.si(1), nap.si(1))), nap.s(0.1)], collect.s()
    ),
    "chain, group, group, task": lambda: chain(
        nap.si(1), group(nap.si(1), nap.si(1)), group(nap.si(1), nap.si(1)), collect.s()
    ),
}
#: What a running task carries is in no message; these run for longer than two looks are apart.
CARRIED: dict[str, Build] = {
    "long step in header": lambda: chord([chain(nap.si(6), nap.si(1)), nap.s(0.1)], collect.s()),
    "long step, then a group": lambda: chord(
        [chain(nap.si(6), group(nap.si(0.1), nap.si(0.1))), nap.s(0.1)], collect.s()
    ),
    "long group, then a group": lambda: chord(
        [chain(group(nap.si(6), nap.si(6)), group(nap.si(0.1), nap.si(0.1))), nap.s(0.1)], collect.s()
    ),
    "long inner chord, then a group": lambda: chord(
        [chord([nap.si(6)], group(nap.si(0.1), nap.si(0.1))), nap.s(0.1)], collect.s()
    ),
    "long chain in a chord in a chain": lambda: chord(
        [chain(nap.si(0.1), chord([chain(nap.si(6), nap.si(6))], nap.si(0.1)), nap.si(0.1)), nap.s(0.1)],
        collect.s(),
    ),
}
LATER: dict[str, Build] = {
    "pausing generator": lambda: chord(paused_header(), collect.s()),
    "slow producer": lambda: chord(slow_header(), collect.s()),
    "restarted": lambda: chord(on("restarted", 6.0, 6.0, *[1.0] * 10), collect.s().set(queue="restarted")),
    "restarted, late": lambda: chord(on("restarted", 6.0, 1.0, 1.0, task=nap_late), collect.s()),
    "restarted, ETA": lambda: chord(
        [nap.s(0.1).set(queue="restarted", countdown=20), *on("restarted", 0.1)], collect.s()
    ),
    "paused": lambda: chord([*on("recycled", 2.0, 9.0), nap.s(9.0), nap.s(1.0)], collect.s(seconds=2.0)),
    "paused in its callback": lambda: chord([nap.s(0.1)], collect.s(seconds=9.0)),
    "disconnected": lambda: chord([nap.s(10.0), again.s(4.0), nap.s(1.0)], collect.s(seconds=5.0)),
    "disconnected, ETA": lambda: chord([nap.s(0.1).set(countdown=15), nap.s(1.0)], collect.s()),
    "behind 100,000": lambda: chord([*on("deep", 0.1, 0.1), nap.s(0.1)], collect.s().set(queue="deep")),
}
EARLY = {**CARRIED, **ODD, **SHAPES}
CHORDS = {**EARLY, **LATER}


def deliver_again(chord_id: str, task_id: str, callback_id: str) -> None:
    """Send a part of a finished chord once more, as Redis does when a visibility timeout was too short."""
    body = collect.s().set(task_id=callback_id)
    nap.s(0.1).apply_async(task_id=task_id, group_id=chord_id, group_index=0, chord=body)
