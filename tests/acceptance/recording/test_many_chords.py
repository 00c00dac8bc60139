"""Hundreds of thousands of chords that are forgotten soon: memory stays flat, and at the end no key is left behind."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import msgpack
import pytest

from chordwatch.recording.records import VERSION, End, Kind, Role
from chordwatch.store.redis_store import RedisStore
from tests.support.polling import wait_until
from tests.support.servers import RedisServer

PER_BATCH = 100
HEADER = 2
RETENTION = 1.0
#: Between two looks at all keys, which take longer than many calls of the store.
CALLS = 500
STRINGS = ["shop.tasks.price", "shop.tasks.total", "celery"]
#: What does not grow with the chords: totals, names, what processes have sent, which versions have written.
LASTING = {"m", "k", "p", "callbacks", "pairs", "versions", "workers", "w"}


def batch(boot: str, sequence: int, numbers: Iterator[int]) -> bytes:
    """Return the whole lives of some chords."""
    chords = [chord(next(numbers), time.time()) for _ in range(PER_BATCH)]
    document = [VERSION, boot, sequence, "worker@here", {}, STRINGS, chords]
    packed: bytes = msgpack.packb(document, use_bin_type=False)
    return packed


def chord(number: int, at: float) -> list[Any]:
    """Return facts and records of a chord of two parts that succeeded."""
    ids = [(number * 4 + place).to_bytes(16, "big") for place in range(4)]
    facts = {"c": [ids[1], STRINGS[1], STRINGS[2], 1], "n": HEADER}
    records: list[list[Any]] = []
    for place, task_id in enumerate(ids[2:]):
        who = [int(Role.HEADER), task_id, place, 0, 0]
        records.append([int(Kind.PUBLISHED), *who, at, 0, 2])
        records.append([int(Kind.ENDED), *who, at + 0.02, 0, 2, int(End.SUCCEEDED), at + 0.01, True])
    who = [int(Role.CALLBACK), ids[1], None, 0, 0]
    records.append([int(Kind.PUBLISHED), *who, at + 0.02, 1, 2])
    records.append([int(Kind.ENDED), *who, at + 0.04, 1, 2, int(End.SUCCEEDED), at + 0.03, None, True])
    return [ids[0], facts, records]


def memory(redis: RedisServer) -> int:
    """Return the bytes that Redis uses."""
    return int(redis.broker.info("memory")["used_memory"])


def run_many(redis: RedisServer, chords: int) -> list[int]:
    """Record so many chords; return the bytes that Redis used, at twenty moments and when all are forgotten."""
    store = RedisStore(redis.url(0), client_name="chordwatch:test:many", finished_retention=RETENTION)
    numbers, used = count(), []
    try:
        batches = chords // PER_BATCH
        for sequence in range(1, batches + 1):
            store.apply(batch("boot", sequence, numbers))
            if sequence % (batches // 20) == 0:
                used.append(memory(redis))
        assert store.counters().started == {STRINGS[1]: chords}

        def forgotten() -> bool:
            for _ in range(CALLS):  # each call forgets a few that are due
                store.counters()
            return set(kinds(redis)) <= LASTING

        wait_until(forgotten, "every chord is forgotten", 120.0)
        assert store.counters().finished == {(STRINGS[1], "succeeded"): chords}
        used.append(memory(redis))
    finally:
        store.close()
    return used


def kinds(redis: RedisServer) -> Counter[str]:
    """Return how many keys of each kind there are; no key may stay for ever."""
    found: Counter[str] = Counter()
    for key in redis.broker.scan_iter(count=1000):
        left = redis.broker.ttl(key)
        assert left != -1, f"{key!r} has no TTL"
        name = key.partition(b"}:")[2] or key.partition(b":")[2]
        found[name.partition(b":")[0].decode()] += left > 0
    return +found


def test_chords_that_are_forgotten_soon_leave_no_key_behind(redis: RedisServer) -> None:
    before = memory(redis)

    used = run_many(redis, 6_000)

    print(before, used)
    # Counters and scripts stay; chords that were kept would take 2.4 MB.
    assert used[-1] < before + 400_000


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_three_hundred_thousand_chords_with_a_short_retention_use_no_more_memory_than_some(
    redis: RedisServer,
) -> None:
    used = run_many(redis, 300_000)

    print(used)
    assert max(used[10:-1]) < 1.25 * max(used[:10])
    assert used[-1] < 0.5 * max(used)
