"""Counters of chords that ended together, after which nothing more is written to the store."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from chordwatch.store.redis_store import RedisStore
from chordwatch.watch.recorded import RecordReader
from tests.contract.batches import run_chord
from tests.support.polling import wait_until
from tests.support.servers import RedisServer

CHORDS = 250


@pytest.fixture
def store(redis: RedisServer) -> Iterator[RedisStore]:
    store = RedisStore(redis.url(0), client_name="chordwatch:test")
    yield store
    store.close()


def test_one_look_counts_all_that_ended_however_many_at_once(store: RedisStore) -> None:
    for _ in range(CHORDS):
        run_chord(store, size=1, at=time.time() - 9, name="zoo.collect")
    # Looking at the counters before would count some of them.
    over = store.now() + 2
    wait_until(lambda: store.now() > over, "late records had their time")
    totals = RecordReader(lambda: store).totals()

    assert totals.counters.started == {"zoo.collect": CHORDS}
    assert totals.counters.finished == {("zoo.collect", "succeeded"): CHORDS}
