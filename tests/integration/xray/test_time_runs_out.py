"""What a look met and had no time for is looked at in the next one."""

from __future__ import annotations

from dataclasses import replace

from celery import Celery

from chordwatch.evidence.budget import Budget
from chordwatch.watch.gather import Gatherer
from tests.integration.xray.stranger import close
from tests.support.servers import RedisServer


def test_chords_that_were_met_and_not_read_for_want_of_time_are_read_next(redis: RedisServer) -> None:
    for number in range(3):
        redis.backend.set(f"celery-taskset-meta-chord-{number}.s", 2, ex=86400)
    app = Celery("reader", broker=redis.url(0), backend=redis.url(1), set_as_current=False)
    gatherer = Gatherer(app, seconds=3.0, ask_workers_every=60.0)
    try:
        spent = replace(gatherer.begin(scan=True), budget=Budget(0))
        assert gatherer.all_chords(spent, finished=False) == []

        found = gatherer.all_chords(gatherer.begin(), finished=False)
    finally:
        gatherer.close()
        close(app)

    assert {evidence.keys.chord_id for evidence in found} == {"chord-0", "chord-1", "chord-2"}
