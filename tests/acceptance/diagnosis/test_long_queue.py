"""A million messages in a queue: a look stays within its seconds, says what it left out, and calls nothing lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from celery import Celery

from chordwatch.store.redis_store import RedisStore
from chordwatch.watch import Watch
from tests.acceptance.xray.planted import message, plant_header
from tests.contract.batches import Process, callback, new_id, published
from tests.integration.xray.stranger import GROUP
from tests.support.pace import within
from tests.support.servers import Processes, RedisServer
from tests.support.slow_commands import REMEMBERING, CommandTimes

pytestmark = pytest.mark.soak

MESSAGES, AT_ONCE = 1_000_000, 10_000
LOOK_SECONDS = 3.0
#: For what a look does besides reading.
BESIDES = 3.0


@pytest.fixture
def server(processes: Processes) -> Iterator[RedisServer]:
    """A Redis of the test's own, which tells what each command took."""
    server = RedisServer(processes, *REMEMBERING)
    yield server
    server.close()


def fill(server: RedisServer) -> None:
    """Put a million messages of no chord into the default queue, all older than what comes later."""
    plain = json.loads(message("stranger", "none", 0))
    plain["headers"].update(group=None, group_index=None)
    plain["body"] = "W1tdLCB7fSwge31d"  # [[], {}, {}]
    for _ in range(MESSAGES // AT_ONCE):
        server.broker.lpush("celery", *[json.dumps(plain)] * AT_ONCE)


def plant_recorded(server: RedisServer) -> str:
    """Record a chord and plant its keys and its messages, behind all others."""
    chord_id, tasks = new_id(), [new_id() for _ in range(2)]
    store = RedisStore(server.url(0), client_name="planting")
    sent = [published(task_id, time.time(), index=index) for index, task_id in enumerate(tasks)]
    Process(store).send(chord_id, sent, c=callback(new_id()), n=2, a=time.time())
    store.close()
    server.backend.set(f"{GROUP}{chord_id}.s", 2, ex=86400)
    server.broker.lpush("celery", *(message(task_id, chord_id, i) for i, task_id in enumerate(tasks)))
    return chord_id


def test_a_look_at_a_million_messages_keeps_its_time_and_calls_nothing_lost(server: RedisServer) -> None:
    fill(server)
    plant_header(server.broker, server.backend, "bare", 3, 1)
    chord_id = plant_recorded(server)
    commands = CommandTimes(server.broker)
    app = Celery("monitor", broker=server.url(0), backend=server.url(1), set_as_current=False)
    watch = Watch(app)
    spent = []
    for _ in range(3):
        begun = time.monotonic()
        look = watch.look(limit=None)
        spent.append(time.monotonic() - begun)
    watch.close()
    app.backend.client.connection_pool.disconnect()
    app.close()

    slow = commands.slow()
    print(f"{spent}; {look.gaps}; slow {slow}")
    assert within(min(spent), LOOK_SECONDS + BESIDES)
    assert look.partial
    assert any(f"of {MESSAGES + 4:,} messages in queue 'celery'" in line for line in look.gaps)
    assert {queue.name: queue.length for queue in look.queues}["celery"] == MESSAGES + 4
    chords = {chord.chord_id: chord for chord in look.chords}
    assert chords.keys() == {"bare", chord_id}
    assert all(v.outcome != "hung" or v.cause == "no_workers" for c in chords.values() for v in c.verdicts)
    assert slow == set()
