"""Where nothing is to be recorded, nothing is: no record, no connection, no thread, no trace in Celery."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer
from tests.support.workflows.foreign import Shop

#: What a process holds, printed as JSON: native threads, and sockets.
HOLDS = """\
import os


def holds():
    with os.scandir("/proc/self/fd") as files:
        sockets = [file for file in files if "socket:" in os.readlink(file.path)]
    return [len(os.listdir("/proc/self/task")), len(sockets)]
"""
#: The broker is a port that nobody listens on: a connection would raise, or be logged.
EAGER = """\
import json, logging

from celery import chord

from shop.holds import holds
from shop.tasks import price, total

logging.basicConfig(level=logging.DEBUG)
total.app.conf.task_always_eager = True
total.app.conf.broker_url = total.app.conf.result_backend = "redis://127.0.0.1:1/0"
before = holds()
result = chord([price.s(2), price.s(3)], total.s()).apply_async().get()
print(json.dumps([result, before, holds()]))
"""
#: Everything of Celery that chordwatch could have put itself into.
UNINSTRUMENTED = """\
import json

from celery import canvas, signals
from celery.utils.dispatch import Signal

import chordwatch
from shop.app import app
from shop.send import send

chordwatch.uninstrument(app)


def traces():
    found = [
        f"{name}: {receiver}"
        for name, signal in vars(signals).items()
        if isinstance(signal, Signal)
        for receiver in signal.receivers or ()
        if "chordwatch" in repr(receiver)
    ]
    patched = (canvas._chord.run, type(app.backend).set_chord_size)
    return found + [repr(function) for function in patched if "chordwatch" in function.__code__.co_filename]


bare = traces()
chordwatch.instrument(app)
send(1)
busy = traces()
chordwatch.uninstrument(app)
print(json.dumps([bare, len(busy), traces(), send(2)]))
"""
PLAIN = """\
import json

from celery import chain, group

from shop.holds import holds
from shop.tasks import price

price.delay(1).forget()
before = holds()
for number in range(20):
    price.delay(number)
    group(price.s(number) for number in range(3)).apply_async()
    chain(price.s(number), price.s()).apply_async()
print(json.dumps([before[0], holds()[0]]))
"""
TASKS_OF_PLAIN = 1 + 20 * (1 + 3 + 2)


@pytest.fixture
def shop(tmp_path: Path, redis: RedisServer, processes: Processes) -> Shop:
    shop = Shop(tmp_path, redis, processes)
    shop.add("holds", HOLDS)
    return shop


def chordwatch_keys(shop: Shop) -> set[bytes]:
    """Return the names of all keys that are chordwatch's, in the store's database."""
    return set(shop.redis.broker.scan_iter("chordwatch*"))


def test_eager_tasks_record_connect_and_log_nothing(shop: Shop) -> None:
    shop.add("eager", EAGER)

    result, before, after = json.loads(shop.run("shop.eager"))

    assert result == 10
    assert after == before
    assert chordwatch_keys(shop) == set()


def test_uninstrument_leaves_no_trace_in_celery_and_records_nothing_more(shop: Shop) -> None:
    shop.add("uninstrumented", UNINSTRUMENTED)

    bare, busy, left, unseen = json.loads(shop.run("shop.uninstrumented"))

    assert busy > 10
    assert (bare, left) == ([], [])
    with shop.recorded() as store:
        assert [found.chord.size for found in store.open_chords()] == [1]
        assert store.get(unseen) is None


def test_plain_tasks_groups_and_chains_write_nothing_to_the_store(shop: Shop) -> None:
    shop.add("plain", PLAIN)
    worker = shop.worker("-P", "prefork", "-c", "2")

    threads_before, threads_after = json.loads(shop.run("shop.plain"))
    wait_until(
        lambda: shop.processes.log("shop").count("succeeded in") == TASKS_OF_PLAIN, "all tasks are done"
    )
    worker.terminate()
    assert worker.wait(90) == 0

    assert threads_after == threads_before
    with shop.recorded() as store:
        assert list(store.open_chords()) == list(store.finished_chords()) == []
        counters = store.counters()
        assert [dict(counters.started), dict(counters.header_tasks), dict(counters.dropped)] == [{}, {}, {}]
        assert [seen.heartbeat.node for seen in store.workers()] == ["shop@here"]


def test_what_is_switched_off_records_nothing(shop: Shop) -> None:
    off = {"CHORDWATCH_ENABLED": "false"}
    worker = shop.worker("-P", "threads", "-c", "2", **off)
    shop.send(3, **off)
    wait_until(
        lambda: "shop.tasks.total" in shop.processes.log("shop").split("ready.")[1], "the callback runs"
    )
    worker.terminate()
    assert worker.wait(90) == 0

    assert chordwatch_keys(shop) == set()
