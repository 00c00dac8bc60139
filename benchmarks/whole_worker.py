"""The whole worker: CPU per header task of a prefork worker that runs chords of no-op tasks, and of its producer.

One live worker and one live producer for each variant. In each round every variant, in shuffled order, does one
block: chords are published to a queue that nobody reads, which is then renamed in one step, so that producer and
worker are measured apart. Ratios are those of one round; the second bare worker shows what is noise.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.cpu import cpu_seconds, tree_seconds
from benchmarks.figures import Figure, Spread, ratio
from benchmarks.scene import Producer, Scene, scene
from benchmarks.variants import BARE, CHORDWATCH, CONTROL, TRACED

CHORDS, SIZE = 2, 500
#: Longer than any variant waits before it flushes, and than a worker needs to acknowledge its last message.
SETTLE_SECONDS = 0.25
MICRO = 1e6


@dataclass(slots=True)
class Measured:
    """One variant's processes and CPU seconds per header task, a value for each round."""

    variant: str
    queue: str
    pid: int
    producer: Producer
    worker: list[float] = field(default_factory=list)
    published: list[float] = field(default_factory=list)
    redis: list[float] = field(default_factory=list)


def measure_whole_worker(rounds: int, peers: Sequence[str]) -> list[Figure]:
    """Return CPU per header task of worker, producer and Redis for each variant."""
    with scene() as opened:
        measured = [
            _start(opened, variant, f"bench{number}")
            for number, variant in enumerate((BARE, CONTROL, CHORDWATCH, TRACED, *peers))
        ]
        for number in range(rounds + 1):
            for one in random.sample(measured, len(measured)):
                _block(opened, one)
                if number == 0:  # connections, caches and imports of the first block
                    one.worker.clear()
                    one.published.clear()
                    one.redis.clear()
    return [figure for one in measured for figure in _figures(one, measured[0])]


def _start(opened: Scene, variant: str, queue: str) -> Measured:
    pid = opened.worker(variant, queue).pid
    return Measured(variant, queue, pid, opened.producer(variant))


def _block(opened: Scene, one: Measured) -> None:
    tasks = CHORDS * SIZE
    server = opened.redis.process.pid
    redis = cpu_seconds(server)
    cpu, chords = one.producer.publish(CHORDS, SIZE, header_queue=f"{one.queue}.held", queue=one.queue)
    one.published.append(cpu / tasks)
    before = tree_seconds(one.pid)
    opened.broker.rename(f"{one.queue}.held", one.queue)
    opened.await_results([callback for _, callback in chords])
    time.sleep(SETTLE_SECONDS)
    one.worker.append((tree_seconds(one.pid) - before) / tasks)
    one.redis.append((cpu_seconds(server) - redis) / tasks)


def _figures(one: Measured, bare: Measured) -> list[Figure]:
    return [
        Figure(
            group="whole worker, prefork -c 1",
            what=what,
            variant=one.variant,
            unit="µs CPU per header task",
            spread=Spread.of(value * MICRO for value in values),
            ratio=None if one is bare else ratio(values, control),
            control="" if one is bare else BARE,
        )
        for what, values, control in (
            ("worker", one.worker, bare.worker),
            ("producer", one.published, bare.published),
            ("Redis", one.redis, bare.redis),
        )
    ]
