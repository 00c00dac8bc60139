"""Lists, counts, workers and the state of both stores."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from chordwatch.recording.records import Heartbeat
from chordwatch.store.protocol import Store
from tests.contract.batches import (
    CALLBACK,
    TASK,
    Process,
    callback,
    ended,
    new_id,
    published,
    run_chord,
    started,
)
from tests.contract.conftest import OpenStore
from tests.support.polling import wait_until

NOW = time.time() - 100


def open_chord(store: Store, at: float, name: str = CALLBACK) -> str:
    """Record a chord of which one part was published; return its id."""
    chord_id = new_id()
    Process(store, "producer").send(
        chord_id, [published(new_id(), at, index=0)], n=2, c=callback(new_id(), name)
    )
    return chord_id


def test_open_chords_are_listed_those_without_progress_first(store: Store) -> None:
    oldest, newest = open_chord(store, NOW), open_chord(store, NOW + 20)
    middle = open_chord(store, NOW + 10)
    run_chord(store, size=1, at=NOW)
    assert [c.chord.chord_id for c in store.open_chords()] == [oldest, middle, newest]
    assert [c.chord.chord_id for c in store.open_chords(limit=2)] == [oldest, middle]
    Process(store).send(oldest, [published(new_id(), NOW + 30, index=1)])
    assert [c.chord.chord_id for c in store.open_chords()] == [middle, newest, oldest]
    assert len(store.open_chords(limit=1)[0].chord.header) == 1


def test_of_a_large_header_a_list_tells_all_of_what_is_not_counted(store: Store) -> None:
    """What a monitor judges: where a task of it was lost stands in its runs."""
    chord_id, tasks = new_id(), [new_id() for _ in range(2000)]
    parts = list(enumerate(tasks))
    worker = Process(store, node="worker@host")
    worker.send(
        chord_id,
        [published(id_, NOW, index=index) for index, id_ in parts],
        n=2000,
        c=callback(new_id()),
    )
    worker.send(
        chord_id,
        [ended(id_, NOW + 2, index=index, started=NOW + 1, counted=True) for index, id_ in parts[:-2]],
    )
    worker.send(chord_id, [started(tasks[-1], NOW + 3, index=1999)])

    [listed] = store.open_chords()
    waiting = [task for task in listed.chord.header if not task.counted]
    assert waiting == [task for task in store.get(chord_id).chord.header if not task.counted]
    assert [(task.index, task.published_at, task.worker) for task in waiting] == [
        (1998, pytest.approx(NOW, abs=0.002), None),
        (1999, pytest.approx(NOW, abs=0.002), "worker@host"),
    ]
    assert [gap.index for gap in listed.chord.missing] == [1998, 1999]
    assert (listed.chord.size, listed.chord.counted) == (2000, 1998)


def test_of_a_large_header_with_ids_of_any_form_a_list_names_the_right_gap(store: Store) -> None:
    chord_id, tasks = new_id(), [new_id() for _ in range(2000)]
    tasks[45] = "order-45"
    Process(store).send(
        chord_id,
        [
            ended(id_, NOW + 2, index=index, started=NOW + 1, counted=True)
            for index, id_ in enumerate(tasks)
            if index != 1777
        ],
        n=2000,
    )

    [listed] = store.open_chords()
    assert [gap.index for gap in listed.chord.missing] == [1777]


def test_finished_chords_are_listed_newest_first(store: Store) -> None:
    first, *_ = run_chord(store, size=1, at=NOW)
    second, *_ = run_chord(store, size=1, at=NOW + 10)
    open_chord(store, NOW)
    assert [c.chord.chord_id for c in store.finished_chords()] == [second, first]
    wait_until(lambda: sum(store.counters().finished.values()) == 2, "both settle")
    assert [c.chord.chord_id for c in store.finished_chords()] == [second, first]
    assert [c.chord.chord_id for c in store.finished_chords(limit=1)] == [second]


def test_chords_are_read_by_their_ids(store: Store) -> None:
    ids = [open_chord(store, NOW) for _ in range(3)]
    assert {c.chord.chord_id for c in store.chords([ids[0], ids[2], new_id()])} == {ids[0], ids[2]}
    assert list(store.chords([])) == []


def test_open_chords_are_counted_by_callback(store: Store) -> None:
    for at in (NOW + 5, NOW, NOW + 9):
        open_chord(store, at)
    open_chord(store, NOW + 1, "proj.tasks.other")
    run_chord(store, size=1, at=NOW)
    assert store.open_counts() == {
        CALLBACK: (3, pytest.approx(NOW, abs=0.001)),
        "proj.tasks.other": (1, pytest.approx(NOW + 1, abs=0.001)),
    }


def test_a_callback_learnt_late_takes_what_was_counted_before(store: Store) -> None:
    chord_id, task = new_id(), new_id()
    worker = Process(store)
    worker.send(chord_id, [ended(task, NOW, index=0, started=NOW, counted=True)])
    assert list(store.open_counts()) == ["unknown"]
    assert store.counters().header_tasks == {}
    worker.send(chord_id, c=callback(new_id()))
    assert list(store.open_counts()) == [CALLBACK]
    counters = store.counters()
    assert counters.started == {CALLBACK: 1}
    assert counters.header_tasks == {(CALLBACK, TASK, "started"): 1, (CALLBACK, TASK, "succeeded"): 1}


def test_beyond_two_hundred_callbacks_all_are_other(store: Store) -> None:
    for n in range(202):
        open_chord(store, NOW, f"proj.tasks.whole_{n}")
    started = store.counters().started
    assert len(started) == 201
    assert started["other"] == 2


def test_workers_are_remembered_with_their_goodbye(store: Store) -> None:
    one = Heartbeat(node="one@host", boot="b1", pid=7, queues=("celery",), concurrency=4, pool="prefork")
    other = Heartbeat(
        node="lone \ud800\0",
        boot="b2",
        pid=8,
        queues=(),
        concurrency=1,
        pool="solo",
        active=("a",),
        reserved=("b",),
        at=1795309927.25,
        left=("celery",),
        left_at=1795309920.5,
    )
    store.beat(one)
    store.beat(other)
    store.beat(other, goodbye=True)
    workers = {worker.heartbeat.boot: worker for worker in store.workers()}
    assert {boot: worker.heartbeat for boot, worker in workers.items()} == {"b1": one, "b2": other}
    assert (workers["b1"].gone, workers["b2"].gone) == (False, True)
    assert workers["b2"].first_beat_at <= workers["b2"].last_beat_at <= store.now()


def test_a_heartbeat_is_bounded(store: Store) -> None:
    ids = tuple(map(str, range(2000)))
    store.beat(Heartbeat(node="n" * 999, boot="b", pid=1, queues=(), concurrency=1, pool="x", active=ids))
    (worker,) = store.workers()
    assert (len(worker.heartbeat.node), len(worker.heartbeat.active)) == (200, 1000)


@pytest.mark.parametrize("node", ["one@host", "lone \ud800\0", "n" * 999])
def test_a_worker_is_connected_from_its_first_heartbeat_to_its_goodbye(
    node: str, store: Store, open_as_worker: Callable[[Heartbeat], Store]
) -> None:
    told = Heartbeat(node=node, boot="b1", pid=7, queues=(), concurrency=1, pool="solo")
    assert store.connections() == frozenset()
    worker = open_as_worker(told)
    worker.beat(told)
    (known,) = store.workers()
    assert store.connections() == {(known.heartbeat.node, "b1")}
    worker.beat(told, goodbye=True)
    worker.close()
    wait_until(lambda: store.connections() == frozenset(), "the connection is closed")


def test_the_state_counts_chords_and_bytes(store: Store) -> None:
    empty = store.state()
    assert (empty.chords, empty.evicts, empty.unreadable) == (0, False, {})
    run_chord(store, size=100, at=NOW)
    state = store.state()
    assert state.chords == 1
    assert state.bytes_used > empty.bytes_used


def test_what_is_finished_is_forgotten_after_its_retention(open_store: OpenStore) -> None:
    store = open_store(finished_retention=0.2)
    chord_id, _, tasks = run_chord(store, size=3, at=NOW)
    open_id = open_chord(store, NOW)
    wait_until(lambda: store.counters() and store.get(chord_id) is None, "the chord is forgotten", 10)
    assert store.get(tasks[0]) is None
    assert list(store.finished_chords()) == []
    assert store.get(open_id) is not None
    assert store.state().chords == 1
    assert store.counters().finished == {(CALLBACK, "succeeded"): 1}


def test_what_is_open_is_forgotten_after_its_retention_but_not_before_its_eta(open_store: OpenStore) -> None:
    store = open_store(open_retention=0.2)
    chord_id, waiting = open_chord(store, NOW), new_id()
    Process(store).send(waiting, [published(new_id(), NOW, index=0, eta=time.time() + 1000)])
    wait_until(lambda: store.counters() and store.get(chord_id) is None, "the chord is forgotten", 10)
    assert [c.chord.chord_id for c in store.open_chords()] == [waiting]
    assert store.state().chords == 1
    assert store.open_counts().keys() <= {"unknown"}


def test_the_size_limit_takes_detail_then_summaries_then_open_chords(open_store: OpenStore) -> None:
    store = open_store()
    finished = [run_chord(store, size=300, at=NOW + n)[0] for n in range(3)]
    opened = open_chord(store, NOW)
    wait_until(lambda: sum(store.counters().finished.values()) == 3, "all settle")
    shrink(store)
    store.counters()
    counters = store.counters()
    assert counters.evicted == {"detail": 3, "summary": 3, "open": 1}
    assert [store.get(chord_id) for chord_id in (*finished, opened)] == [None] * 4
    assert store.state().chords == 0


def test_a_summary_keeps_counts_and_times(open_store: OpenStore) -> None:
    store = open_store()
    chord_id, callback_id, tasks = run_chord(store, size=2000, at=NOW)
    wait_until(lambda: store.counters().finished, "it settles")
    before = store.get(chord_id)
    shrink(store, to=store.state().bytes_used - 1)
    store.counters()
    assert store.counters().evicted == {"detail": 1}
    after = store.get(callback_id)
    assert after.detail_dropped
    assert after.chord.header == ()
    for name in (
        "state",
        "size",
        "counted",
        "opened_at",
        "progressed_at",
        "finished_at",
        "callback",
        "missing",
    ):
        assert getattr(after.chord, name) == getattr(before.chord, name), name
    assert store.get(tasks[0]) is None
    Process(store).send(chord_id, [ended(tasks[0], NOW + 50, index=0, started=NOW + 49, counted=True)])
    assert store.get(chord_id).chord.counted == 2000


def shrink(store: Store, to: float = 0) -> None:
    """Set the store's size limit, in bytes."""
    if hasattr(store, "_arguments"):
        store._arguments = (*store._arguments[:2], str(int(to)), store._arguments[3])
    else:
        store._max_bytes = to
