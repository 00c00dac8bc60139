"""Counters of chords that ended together, after which nothing more is written to the store."""

from __future__ import annotations

import time

from celery import Celery

from chordwatch.watch import Watch
from tests.integration.recorded.conftest import Installation
from tests.integration.xray.stranger import close
from tests.support.polling import wait_until

CHORDS = 60


def test_one_look_counts_all_that_ended_however_many_at_once(installation: Installation) -> None:
    installation.worker(concurrency=2)
    installation.publish_many(CHORDS)
    app = Celery(
        "reader", broker=installation.redis.url(0), backend=installation.redis.url(1), set_as_current=False
    )
    watch = Watch(app)
    try:
        done = wait_until(
            lambda: found if len(found := watch.list(health="done", limit=CHORDS)) == CHORDS else None,
            "all end",
        )
        assert done
        ended = max(chord.finished_at or 0.0 for chord in done)
        # Asking before that would count some of them.
        wait_until(lambda: time.time() > ended + 3, "late records had their time")
        totals = watch.totals()
    finally:
        watch.close()
        close(app)

    assert totals.counters.started == {"project.total": CHORDS}
    assert totals.counters.finished == {("project.total", "succeeded"): CHORDS}
