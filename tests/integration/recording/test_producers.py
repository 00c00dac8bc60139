"""Processes that only publish: scripts that end at once, and web servers with threads that fork."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.support.servers import Processes, RedisServer
from tests.support.workflows.foreign import Shop

NEVER = {"CHORDWATCH_FLUSH_INTERVAL": "60"}
#: What a web server with prefork workers does: it imports the app, publishes, forks, and serves in threads.
SERVER = """\
import json, os, sys, threading

from shop.send import send

THREADS, EACH = 4, 5


def serve(writer):
    sent = []
    threads = [threading.Thread(target=lambda: [sent.append(send(3)) for _ in range(EACH)]) for _ in range(THREADS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    os.write(writer, (json.dumps(sent) + "\\n").encode())
    sys.exit(0)


ids = [send(3)]
reader, writer = os.pipe()
children = []
for _ in range(2):
    pid = os.fork()
    if not pid:
        serve(writer)
    children.append(pid)
statuses = [os.waitpid(pid, 0)[1] for pid in children]
os.close(writer)
for line in open(reader):
    ids += json.loads(line)
ids.append(send(3))
print(json.dumps({"ids": ids, "statuses": statuses}))
"""


@pytest.fixture
def shop(tmp_path: Path, redis: RedisServer, processes: Processes) -> Shop:
    return Shop(tmp_path, redis, processes)


def test_a_script_that_ends_right_after_publishing_flushes_at_its_exit(shop: Shop) -> None:
    chord_id = shop.send(4, **NEVER)

    with shop.recorded() as store:
        seen = store.get(chord_id)
        assert dict(store.counters().dropped) == {}
    assert seen
    assert (seen.chord.state, seen.chord.size, seen.chord.counted) == ("open", 4, 0)
    assert [task.state for task in seen.chord.header] == ["published"] * 4
    assert all(task.published_at and task.queue == "celery" for task in seen.chord.header)


@pytest.mark.parametrize("flush", [{}, NEVER], ids=["often", "at exit"])
def test_a_server_that_forks_after_it_has_published_loses_nothing_and_counts_nothing_twice(
    shop: Shop, flush: dict[str, str]
) -> None:
    shop.add("server", SERVER)

    said = json.loads(shop.run("shop.server", **flush))

    assert said["statuses"] == [0, 0]
    assert len(set(said["ids"])) == 42
    with shop.recorded() as store:
        chords = [store.get(chord_id) for chord_id in said["ids"]]
        counters = store.counters()
    assert [(seen.chord.size, len(seen.chord.header)) for seen in chords if seen] == [(3, 3)] * 42
    assert dict(counters.dropped) == {}
    assert dict(counters.started) == {"shop.tasks.total": 42}
    assert dict(counters.header_tasks) == {("shop.tasks.total", "shop.tasks.price", "published"): 126}


#: Dispatches that fail, of a caller who catches the exception: in some of them a message was sent before.
FAILING = """\
from contextlib import suppress

from celery import chord
from kombu.exceptions import EncodeError

from shop.tasks import price, total

UNREADABLE = price.s(object())

for header in (
    [UNREADABLE],
    [UNREADABLE, price.s(1)],
    [chord([UNREADABLE, price.s(1)], total.s()), price.s(1)],
    [price.s(1), UNREADABLE],
    [chord([price.s(1)], total.s()), UNREADABLE],
):
    with suppress(EncodeError):
        chord(header, total.s()).apply_async()
        raise SystemExit("it was sent")
"""
#: The same where the broker is away.
AWAY = """\
from contextlib import suppress

from celery import chord
from kombu.exceptions import OperationalError

from shop.tasks import price, total

total.app.conf.broker_url = "redis://127.0.0.1:1/0"
total.app.conf.broker_transport_options = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
with suppress(OperationalError):
    chord([price.s(1), price.s(2)], total.s()).apply_async(retry=False)
    raise SystemExit("it was sent")
"""


@pytest.mark.parametrize("tracing", ["off", "on"])
def test_a_dispatch_that_sent_nothing_leaves_no_chord(shop: Shop, tracing: str) -> None:
    """Its caller has the exception, and nothing waits for anything."""
    shop.add("failing", FAILING)
    shop.add("away", AWAY)
    shop.run("shop.failing", CHORDWATCH_TRACING=tracing)
    shop.run("shop.away", CHORDWATCH_TRACING=tracing, CHORDWATCH_STORE_URL=shop.redis.url(0))

    with shop.recorded() as store:
        recorded = store.open_chords()
        started = dict(store.counters().started)
    seen = Counter(
        (known.chord.size, len(known.chord.header), bool(known.dispatch_error)) for known in recorded
    )
    # Two whose second part could not be sent, and the chord that was the first part of one.
    assert seen == Counter([(2, 1, True), (2, 1, True), (1, 1, False)])
    assert sum(started.values()) == 3
