"""A worker may have a name that Redis refuses as the name of a connection."""

from __future__ import annotations

import signal
from pathlib import Path

from chordwatch.store.redis_store import RedisStore
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, celery, clean_environment

NODE = "wörker 1%@here"


def test_a_worker_with_any_name_beats_and_is_seen_connected(redis: RedisServer, processes: Processes) -> None:
    worker = processes.start(
        "worker",
        *celery("-A", "living", "worker", "-n", NODE, "-P", "solo", "-l", "INFO", "--without-mingle"),
        cwd=Path(__file__).parent,
        env=clean_environment(PROJECT_BROKER=redis.url(0), PROJECT_STORE=redis.url(2)),
    )
    store = RedisStore(redis.url(2), client_name="reader")
    (known,) = wait_until(store.workers, "the store knows the worker")

    assert known.heartbeat.node == NODE
    assert store.connections() == {(NODE, known.heartbeat.boot)}
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(90) == 0
    wait_until(lambda: store.connections() == frozenset(), "its connections are gone")
    assert "chordwatch cannot" not in processes.log("worker")
    store.close()
