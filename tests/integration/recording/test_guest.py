"""A guest in somebody else's process: what it hears may be anything, and what it adds to messages is one header."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import Processes, RedisServer
from tests.support.workflows.canvases import chord_of, task
from tests.support.workflows.crew import Crew
from tests.support.workflows.foreign import Shop
from tests.support.workflows.wiretap import Message

#: Sends every signal that chordwatch listens to with each of these, and prints what came back.
HOSTILE = """\
import json, logging

from celery import signals
from celery.utils.dispatch import Signal

from shop.app import app
from shop.tasks import price


class Hostile:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def __str__(self):
        raise RuntimeError("str")

    __repr__ = __hash__ = __len__ = __iter__ = __bool__ = __eq__ = __str__


class Empty:
    pass


logging.basicConfig(level=logging.INFO)
raised, heard = [], 0
arguments = (
    "headers", "body", "routing_key", "exchange", "request", "task", "task_id", "sender_", "retval", "state",
    "exception", "message", "name", "exc", "id", "expired", "terminated", "signum", "args", "kwargs", "einfo",
    "result", "reason", "traceback", "declare", "properties", "retry_policy", "uuid",
)
worker_only = ("worker_init", "worker_ready", "worker_shutdown", "worker_process_init", "worker_process_shutdown")
payloads = [
    Hostile(), Empty(), None, 1, "", "\\0\\ud800", b"\\xff", [], {}, (), {"id": None}, {"id": Hostile()},
    ((), {}, {"chord": 1, "chain": 1, "callbacks": 1, "errbacks": 1}),
    ((), {}, {"chord": {"options": None}, "chain": [None], "callbacks": [Hostile()], "errbacks": None}),
    {"id": "a", "task": 1, "group": "g", "group_index": "x", "retries": "x", "eta": "x", "chordwatch": []},
    {"id": "a" * 100_000, "task": "b" * 100_000, "group": "\\ud800" * 20_000, "retries": -1, "eta": None},
]
listened = [
    name for name, signal in vars(signals).items()
    if isinstance(signal, Signal) and name not in worker_only
    and any("chordwatch" in repr(receiver) for receiver in signal.receivers or ())
]
for name in listened:
    for payload in payloads:
        for sender in (None, price, Hostile):
            for response in getattr(signals, name).send(sender=sender, **dict.fromkeys(arguments, payload)):
                heard += 1
                if response[1] is not None:
                    raised.append(f"{name} {type(payload).__name__}: {response[1]!r}")
app.close()
print(json.dumps([listened, heard, raised]))
"""
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
#: What is another one each time: who published, and when.
OWN = re.compile(r"gen\d+@[\w.-]+|\d{4}-\d\d-\d\dT[\d:.+]+")


def test_hostile_signals_raise_nothing_and_are_counted(
    tmp_path: Path, redis: RedisServer, processes: Processes
) -> None:
    shop = Shop(tmp_path, redis, processes)
    shop.add("hostile", HOSTILE)

    listened, heard, raised = json.loads(shop.run("shop.hostile"))

    assert raised == []
    assert len(listened) >= 9
    assert heard > 400
    with shop.recorded() as store:
        assert store.counters().dropped["internal"] > 50


def test_messages_are_the_same_but_for_one_header_on_callbacks(processes: Processes) -> None:
    bare, watched = (published(processes, instrumented=instrumented) for instrumented in (False, True))

    marks = [message["headers"].pop("chordwatch", None) for message in watched]
    assert watched == bare
    parts = {message["headers"]["id"]: message["chord"] for message in watched}
    assert len(parts) > 15
    groups = {message["headers"]["group"] for message in watched if message["chord"]}
    assert {mark for mark in marks if mark} <= groups
    for message, mark in zip(watched, marks, strict=True):
        assert bool(mark) == message["headers"]["task"].startswith(("collect", "report")), message


def published(processes: Processes, *, instrumented: bool) -> list[dict[str, Any]]:
    """Run workflows in one thread, so that they publish in one order; return all messages, without chance in them."""
    crew = Crew(processes, instrumented=instrumented)
    name = f"solo-{instrumented}"
    try:
        producer = crew.producer(f"producer-{instrumented}")
        producer.publish(*workflows())
        crew.worker(name, "-P", "solo")
        crew.quiet()
        assert producer.finish() == 0
        return without_chance(crew.wiretap.messages)
    finally:
        crew.close()


def workflows() -> list[dict[str, Any]]:
    """Return one of each shape in which a message differs."""
    retried = task(2, do="retry", times=1, fails=False)
    replaced = task(3, do="replace", by="task", then=[task(4)])
    chained = {"shape": "chain", "tasks": [task(5, "collect"), task(6, "report")]}
    grouped = {"shape": "group", "tasks": [task(7, "collect"), task(8, "report")]}
    return [
        chord_of(task(1), retried, replaced),
        chord_of(task(1), task(9, options={"priority": 3}), body=chained),
        chord_of(task(1), body=grouped),
        chord_of(task(1), body=task(10, "collect", do="retry", times=1, fails=False)),
        {"shape": "chain", "tasks": [task(11), task(12)]},
        {"shape": "group", "tasks": [task(13), task(14)]},
    ]


def without_chance(messages: list[Message]) -> list[dict[str, Any]]:
    """Return messages with ids replaced by their order of appearance, and without times and names of processes."""
    ids: dict[str, str] = {}

    def plain(text: str) -> Any:
        text = UUID.sub(lambda found: ids.setdefault(found[0], f"id {len(ids)}"), text)
        return json.loads(OWN.sub("-", text))

    return [
        {
            "headers": plain(json.dumps(message.headers)),
            "body": plain(base64.b64decode(message.raw["body"]).decode()),
            "chord": message.chord is not None,
            "queue": message.queue,
            "properties": message.raw["properties"].get("priority"),
        }
        for message in messages
    ]


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_results_are_what_the_tasks_returned(
    tmp_path: Path, redis: RedisServer, processes: Processes, pool: str
) -> None:
    shop = Shop(tmp_path, redis, processes)
    shop.add("ask", "from shop.send import send\nfrom shop.tasks import price, total\n" + ASK)
    shop.worker("-P", pool, "-c", "1")

    assert json.loads(shop.run("shop.ask")) == [20, [0, 2, 4, 6, 8]]


ASK = """\
import json
from celery import chord
parts = [price.s(item) for item in range(5)]
result = chord(parts, total.s()).apply_async()
print(json.dumps([result.get(timeout=20), result.parent.get(timeout=20)]))
"""
