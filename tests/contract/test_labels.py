"""Names as label values: bounded in number, and a name that was counted once is counted under itself for good."""

from __future__ import annotations

import time

import pytest

from chordwatch.model import Callback
from chordwatch.recording.records import End
from chordwatch.store.keys import Keys
from chordwatch.store.labels import MAX_CALLBACKS, MAX_PAIRS
from chordwatch.store.protocol import Store
from tests.contract.batches import CALLBACK, TASK, Process, callback, ended, new_id, published
from tests.contract.conftest import OpenStore
from tests.contract.test_judgements import LOST, chord, judge
from tests.support.servers import RedisServer

NOW = time.time() - 100
CALLBACKS = [f"callback-{number:03}" for number in range(MAX_CALLBACKS)]
NAMES = [f"task-{number:04}" for number in range(MAX_PAIRS)]


def publish(store: Store, callbacks: list[str], names: list[str]) -> None:
    """Send one batch: a chord for each callback, with a task of each name."""
    Process(store).send_all(
        [
            (
                new_id(),
                {"c": callback(new_id(), whose), "n": len(names), "a": NOW},
                [published(new_id(), NOW, index=index, name=name) for index, name in enumerate(names)],
            )
            for whose in callbacks
        ]
    )


def test_callbacks_that_were_met_first_are_labels_and_stay(open_store: OpenStore) -> None:
    store = open_store()
    publish(store, CALLBACKS, [TASK])
    before = store.counters()
    publish(store, ["aaa", "zzz"], [TASK])
    publish(store, ["aaa"], [TASK])
    publish(store, CALLBACKS[:1], [TASK])

    found = store.counters()

    assert before.started == dict.fromkeys(CALLBACKS, 1)
    assert before.capped == {}
    assert found.started == {**before.started, CALLBACKS[0]: 2, "other": 3}
    assert found.header_tasks["other", TASK, "published"] == 3
    assert found.capped == {"callback": 2}


def test_pairs_of_callback_and_task_that_were_met_first_are_labels_and_stay(store: Store) -> None:
    publish(store, [CALLBACK], NAMES)
    before = store.counters()
    publish(store, [CALLBACK], ["aaa", "zzz", NAMES[-1]])
    publish(store, ["another"], NAMES[:1])

    found = store.counters()

    assert before.header_tasks == {(CALLBACK, name, "published"): 1 for name in NAMES}
    assert before.capped == {}
    assert found.header_tasks == {
        **before.header_tasks,
        (CALLBACK, NAMES[-1], "published"): 2,
        (CALLBACK, "other", "published"): 2,
        ("another", "other", "published"): 1,
    }
    assert found.capped == {"name": 2}


def test_a_retry_is_counted_under_the_same_name_as_its_task(store: Store) -> None:
    publish(store, [CALLBACK], NAMES[1:])
    chord_id, task = new_id(), new_id()
    facts = {"c": callback(new_id()), "n": 1, "a": NOW}
    for name in (NAMES[0], "aaa"):
        records = [
            published(task, NOW, name=name),
            ended(task, NOW + 2, End.RETRYING, started=NOW, name=name),
        ]
        Process(store).send(chord_id, records, **facts)
        chord_id, task = new_id(), new_id()

    assert store.counters().retries == {(CALLBACK, NAMES[0], "header"): 1, (CALLBACK, "other", "header"): 1}


def test_what_monitors_find_is_counted_under_the_same_names(store: Store) -> None:
    publish(store, CALLBACKS[1:], [TASK])
    for name in (CALLBACKS[0], "aaa", CALLBACKS[1]):
        judge(store, chord(callback=Callback(name=name)), LOST)

    found = store.counters()

    assert {callback for callback, _, _ in found.verdicts} == {CALLBACKS[0], "other", CALLBACKS[1]}
    assert found.capped == {"callback": 1}


def test_asking_how_many_are_open_makes_no_label(store: Store) -> None:
    publish(store, [*CALLBACKS, "aaa"], [TASK])

    assert store.open_counts()["other"] == (1, pytest.approx(NOW, abs=0.001))
    publish(store, CALLBACKS[:1], [TASK])
    assert store.counters().capped == {"callback": 1}


def test_names_live_as_long_as_what_is_counted_under_them(
    open_redis_store: OpenStore, redis: RedisServer
) -> None:
    """Nothing new may come for a month, and the names must not be chosen anew then."""
    store = open_redis_store()
    keys = [Keys("default")(name) for name in ("callbacks", "pairs")]
    again = (
        lambda: publish(store, [CALLBACK], [TASK]),
        lambda: judge(store, chord(), LOST),
    )
    publish(store, [CALLBACK], [TASK])
    for write, renewed in zip(again, (keys, keys[:1]), strict=True):
        for key in keys:
            redis.broker.expire(key, 100)
        write()
        assert [redis.broker.ttl(key) > 100 for key in renewed] == [True] * len(renewed)
