"""What the store costs its Redis: what `benchmarks.store_cost` measures, over several rounds, as figures.

Redis' own account of its CPU, so only its work counts and not the client's. The control is the least that Redis
could do with a record: a HSET, fifty to a pipeline.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from functools import partial

from redis import Redis

from benchmarks.figures import EXACT, Figure, Spread, ratio
from benchmarks.scene import scene
from benchmarks.store_cost import BATCH, cpu_per_record, many_chords, memory_per_task, one_chord

#: Targets in µs per record; nothing is to be reached for processes that are as slow as that.
CPU_TARGETS: Mapping[str, float | None] = {
    "50 records of one chord": 4.0,
    "50 records of 50 chords": 11.0,
    "1 record, as 300 slow processes send": None,
}
MEMORY_SIZES = (20, 1000, 100_000)
MEMORY_TARGET, MEMORY_STRETCH = 64.0, 25.0
CONTROL = "HSET in a pipeline of 50"
_PIPELINES = 200


def measure_store(rounds: int) -> list[Figure]:
    """Return Redis CPU per record and memory per header task."""
    with scene() as opened, contextlib.closing(opened.store()) as store:
        sends: dict[str, Callable[[], int]] = {
            CONTROL: partial(_hset, opened.broker),
            "50 records of one chord": partial(one_chord, store, chords=5),
            "50 records of 50 chords": partial(many_chords, store, rounds=4),
            "1 record, as 300 slow processes send": partial(one_chord, store, size=100, batch=1, chords=4),
        }
        _round(opened.broker, sends)  # loads the script and fills caches
        found = [_round(opened.broker, sends) for _ in range(rounds)]
        memory = {size: memory_per_task(opened.broker, store, size=size) for size in MEMORY_SIZES}
    return [
        *(_cpu(what, [one[what] for one in found], [one[CONTROL] for one in found]) for what in sends),
        *(_memory(size, each) for size, each in memory.items()),
    ]


def _round(redis: Redis, sends: Mapping[str, Callable[[], int]]) -> dict[str, float]:
    return {what: cpu_per_record(redis, send) for what, send in sends.items()}


def _hset(redis: Redis) -> int:
    for number in range(_PIPELINES):
        pipe = redis.pipeline(transaction=False)
        for field in range(BATCH):
            pipe.hset(f"control:{number}", str(field), time.time())
        pipe.execute()
    return _PIPELINES * BATCH


def _cpu(what: str, values: list[float], control: list[float]) -> Figure:
    return Figure(
        group="Redis CPU of the store",
        what=what,
        variant="control" if what == CONTROL else "chordwatch",
        unit="µs CPU per record",
        spread=Spread.of(values),
        ratio=None if what == CONTROL else ratio(values, control),
        control="" if what == CONTROL else "HSET",
        target=CPU_TARGETS.get(what),
    )


def _memory(size: int, each: float) -> Figure:
    return Figure(
        group="memory of the store",
        what=f"chords of {size:,} header tasks",
        variant="chordwatch",
        unit="bytes per header task",
        spread=Spread.of([each]),
        target=MEMORY_TARGET,
        stretch=MEMORY_STRETCH,
        noise=EXACT,
    )
