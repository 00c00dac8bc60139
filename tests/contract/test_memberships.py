"""Which chords tasks belong to, asked for many at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from chordwatch.recording.records import Role
from chordwatch.store.protocol import Membership, Store
from chordwatch.store.redis_store import RedisStore
from tests.contract.batches import CALLBACK, Process, callback, callback_run, new_id, published, run_chord

NOW = time.time()


def header(chord_id: str, index: int | None, name: str | None) -> Membership:
    return Membership(chord_id=chord_id, role="header", index=index, callback=name)


def body(chord_id: str, name: str) -> Membership:
    return Membership(chord_id=chord_id, role="callback", index=None, callback=name)


def test_tasks_of_many_chords_are_found_at_once(store: Store) -> None:
    lives = [run_chord(store, size=3, at=NOW, name=f"whole.{n}") for n in range(5)]
    asked = [task_id for _, callback_id, tasks in lives for task_id in (callback_id, *tasks)]
    expected = {}
    for n, (chord_id, callback_id, tasks) in enumerate(lives):
        expected[callback_id] = body(chord_id, f"whole.{n}")
        expected |= {task_id: header(chord_id, i, f"whole.{n}") for i, task_id in enumerate(tasks)}

    assert store.memberships([*asked, new_id(), "no such id", *asked[:2]]) == expected
    assert store.memberships([]) == {}


def test_a_large_header_tells_the_index_of_each_task(store: Store) -> None:
    chord_id, _, tasks = run_chord(store, size=700, at=NOW)
    found = store.memberships(tasks)
    assert [found[task_id].index for task_id in tasks] == list(range(700))
    assert {membership.chord_id for membership in found.values()} == {chord_id}


def test_a_later_step_of_a_callback_is_the_callback_too(store: Store) -> None:
    chord_id, callback_id, step = new_id(), new_id(), new_id()
    process = Process(store)
    process.send(chord_id, [published(new_id(), NOW, index=0)], c=callback(callback_id, ends=2), a=NOW)
    process.send(chord_id, callback_run(step, NOW + 1))
    assert store.memberships([step]) == {step: body(chord_id, CALLBACK)}


def test_a_header_task_that_is_a_step_of_another_chords_callback_is_in_its_own_header(store: Store) -> None:
    outer, inner, task = new_id(), new_id(), new_id()
    process = Process(store)
    process.send(outer, [published(task, NOW, role=Role.CALLBACK)], c=callback(new_id(), "outer"), a=NOW)
    process.send(inner, [published(task, NOW, index=4)], c=callback(new_id(), "inner"), a=NOW)
    assert store.memberships([task]) == {task: header(inner, 4, "inner")}


def test_ids_are_any_text(store: Store) -> None:
    process, chord_id = Process(store), "a group <b>\n"
    process.send(chord_id, [published("part \u2603 ~", NOW, index=0)], a=NOW)
    assert store.memberships(["part \u2603 ~"]) == {"part \u2603 ~": header(chord_id, 0, None)}


def test_many_tasks_cost_a_few_round_trips(open_redis_store: Callable[..., RedisStore], redis: Any) -> None:
    store = open_redis_store()
    tasks = [task_id for _ in range(30) for task_id in run_chord(store, size=3, at=NOW)[2]]
    store.memberships(tasks)
    with redis.broker.monitor() as commands:
        store.memberships(tasks)
        redis.broker.ping()
        asked = []
        for command in commands.listen():
            if command["command"] == "PING":
                break
            asked.append(command["command"].split()[0])

    # Each bucket and each chord is asked for once, however many of the tasks are in it.
    assert asked.count("SMEMBERS") <= 90
    assert asked.count("GET") == 30
