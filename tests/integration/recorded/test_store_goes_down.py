"""A kept Watch whose store goes away: what the workers once answered is not what they would answer now."""

from __future__ import annotations

import sys

import pytest
from celery import Celery

from chordwatch.watch import Watch
from tests.integration.recorded.conftest import HERE, Installation
from tests.integration.xray.stranger import causes, close
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, kill, run

SEND = """
import project
from celery import chord
parts = [project.work.s(0.01), project.work.s(0.01).set(queue="nobody")]
chord(parts, project.total.s()).apply_async()
"""


@pytest.mark.faults
def test_the_workers_of_a_store_that_goes_down_are_not_said_to_be_gone(
    redis: RedisServer, store: RedisServer, processes: Processes
) -> None:
    installation = Installation(redis, processes, CHORDWATCH_STORE_URL=store.url(0))
    app = Celery("reader", broker=redis.url(0), backend=redis.url(1), set_as_current=False)
    app.conf.chordwatch_store_url = store.url(0)
    watch = Watch(app)
    try:
        assert watch.look().workers == ()  # asked before there was one
        installation.worker(concurrency=1)
        assert run(sys.executable, "-c", SEND, cwd=HERE, env=installation.environment).returncode == 0
        wait_until(lambda: hung(watch) == [["queue_unconsumed"]], "the queue is named")
        kill(store.process)
        after = hung(watch)
    finally:
        watch.close()
        close(app)

    assert after == [["queue_unconsumed"]]


def hung(watch: Watch) -> list[list[str]]:
    return [causes(chord) for chord in watch.look(health="hung").chords]
