"""What both stores make of records."""

from __future__ import annotations

import itertools
import time

import pytest

from chordwatch.recording.records import End, Kind, Role
from chordwatch.store.protocol import Store
from tests.contract.batches import (
    CALLBACK,
    QUEUE,
    TASK,
    Process,
    callback,
    ended,
    new_id,
    published,
    received,
    record,
    run_chord,
    started,
)
from tests.contract.conftest import OpenStore
from tests.support.polling import wait_until

UUID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
NOW = time.time()


def test_a_chord_is_told_from_its_first_message_to_its_callbacks_end(store: Store) -> None:
    chord_id, callback_id, tasks = run_chord(store, size=3, at=NOW)
    chord = store.get(chord_id).chord
    assert (chord.state, chord.health, chord.size, chord.counted, chord.missing) == (
        "succeeded",
        "done",
        3,
        3,
        (),
    )
    assert [(part.index, part.task_id, part.name) for part in chord.header] == [
        (n, task_id, TASK) for n, task_id in enumerate(tasks)
    ]
    part = chord.header[1]
    assert (part.state, part.worker, part.queue, part.attempt, part.counted) == (
        "succeeded",
        "worker@host",
        QUEUE,
        0,
        True,
    )
    times = (part.published_at, part.started_at, part.finished_at)
    assert times == pytest.approx((NOW + 0.001, NOW + 1, NOW + 2.001), abs=0.001)
    assert (chord.callback.task_id, chord.callback.name, chord.callback.state) == (
        callback_id,
        CALLBACK,
        "succeeded",
    )
    assert chord.opened_at == pytest.approx(NOW, abs=0.001)
    assert chord.finished_at == pytest.approx(NOW + 4, abs=0.001)
    assert chord.instrumented


def test_every_id_finds_its_chord(store: Store) -> None:
    lives = [run_chord(store, size=4, at=NOW) for _ in range(5)]
    for chord_id, callback_id, tasks in lives:
        for known in (chord_id, callback_id, *tasks):
            assert store.get(known).chord.chord_id == chord_id
    assert store.get(new_id()) is None
    assert store.get("no such id") is None


def test_a_batch_counts_once(store: Store) -> None:
    process, chord_id, task = Process(store), new_id(), new_id()
    facts = {"c": callback(new_id()), "a": NOW}
    process.send(chord_id, [published(task, NOW, index=0)], **facts)
    batch = process.send(chord_id, [ended(task, NOW + 2, index=0, started=NOW + 1, counted=True)])
    before, counted = store.get(chord_id), store.counters()
    store.apply(batch)
    assert store.get(chord_id) == before
    assert store.counters() == counted
    assert counted.header_tasks[CALLBACK, TASK, "succeeded"] == 1


def test_gaps_are_named(store: Store) -> None:
    chord_id, first, last = new_id(), new_id(), new_id()
    Process(store).send(
        chord_id,
        [published(first, NOW, index=0), ended(last, NOW + 1, index=3, started=NOW, counted=True)],
        n=5,
    )
    chord = store.get(chord_id).chord
    assert [(gap.index, gap.task_id) for gap in chord.missing] == [
        (0, first),
        (1, None),
        (2, None),
        (4, None),
    ]
    assert (chord.state, chord.counted, chord.size) == ("open", 1, 5)


def test_each_retry_is_an_attempt(store: Store) -> None:
    chord_id, task = new_id(), new_id()
    worker = Process(store)
    error = "ValueError: no"
    worker.send(
        chord_id,
        [
            published(task, NOW, index=0),
            ended(task, NOW + 2, End.RETRYING, index=0, started=NOW + 1, error=error),
            published(task, NOW + 2, index=0, retries=1, eta=NOW + 60),
        ],
        c=callback(new_id()),
    )
    recorded = store.get(task)
    part = recorded.chord.header[0]
    assert (part.state, part.attempt, part.finished_at, part.counted) == ("retrying", 1, None, False)
    assert [(a.attempt, a.state, a.error) for a in part.attempts] == [
        (0, "retrying", error),
        (1, "published", None),
    ]
    assert recorded.etas == {task: pytest.approx(NOW + 60, abs=0.001)}
    worker.send(chord_id, [ended(task, NOW + 62, index=0, retries=1, started=NOW + 61, counted=True)])
    part = store.get(chord_id).chord.header[0]
    assert (part.state, part.attempt, part.counted, part.error) == ("succeeded", 1, True, None)
    counters = store.counters()
    assert counters.retries == {(CALLBACK, TASK, "header"): 1}
    assert counters.header_tasks[CALLBACK, TASK, "retried"] == 1
    assert counters.header_tasks[CALLBACK, TASK, "published"] == 2


def test_a_replacement_goes_further_than_what_it_replaces(store: Store) -> None:
    chord_id, task = new_id(), new_id()
    Process(store).send(
        chord_id,
        [
            ended(task, NOW + 1, End.IGNORED, index=0, started=NOW, counted=False),
            published(task, NOW + 1, index=0, nesting=1, name="proj.tasks.instead"),
        ],
    )
    part = store.get(chord_id).chord.header[0]
    assert (part.state, part.name, part.attempt) == ("published", "proj.tasks.instead", 0)
    assert [attempt.state for attempt in part.attempts] == ["ignored", "published"]


def test_a_redelivered_task_ran_twice(store: Store) -> None:
    chord_id, task = new_id(), new_id()
    Process(store, "producer").send(chord_id, [published(task, NOW, index=0)], n=1)
    Process(store, "one@host").send(
        chord_id, [received(task, NOW + 1, index=0), started(task, NOW + 2, index=0)]
    )
    other = Process(store, "two@host")
    other.send(chord_id, [received(task, NOW + 10, index=0), started(task, NOW + 11, index=0)])
    other.send(chord_id, [ended(task, NOW + 12, index=0, started=NOW + 11, counted=True)])
    part = store.get(chord_id).chord.header[0]
    assert [(a.attempt, a.state, a.worker) for a in part.attempts] == [
        (0, "started", "one@host"),
        (0, "succeeded", "two@host"),
    ]
    assert (part.state, part.worker, part.counted) == ("succeeded", "two@host", True)
    assert part.attempts[0].received_at == pytest.approx(NOW + 1, abs=0.001)
    assert part.attempts[0].published_at == pytest.approx(NOW, abs=0.001)


def test_a_frozen_chord_applied_twice_publishes_each_part_twice(store: Store) -> None:
    chord_id, task = new_id(), new_id()
    producer = Process(store, "producer")
    producer.send(chord_id, [published(task, NOW, index=0)], n=1, a=NOW)
    producer.send(chord_id, [published(task, NOW + 5, index=0)], n=1, a=NOW + 5)
    recorded = store.get(chord_id)
    assert recorded.applied == 2
    assert [attempt.state for attempt in recorded.chord.header[0].attempts] == ["published", "published"]
    assert recorded.chord.size == 1


def test_a_hard_time_limit_told_twice_is_one_failure(store: Store) -> None:
    chord_id, task = new_id(), new_id()
    worker, child = Process(store), Process(store)
    child.send(chord_id, [started(task, NOW, index=0)], n=2, c=callback(new_id()))
    fields = {"index": 0, "counted": True, "error": "TimeLimitExceeded(1)"}
    worker.send(
        chord_id, [ended(task, NOW + 1, End.FAILED, **fields), ended(task, NOW + 1.1, End.FAILED, **fields)]
    )
    part = store.get(chord_id).chord.header[0]
    assert [(a.state, a.error) for a in part.attempts] == [("failed", "TimeLimitExceeded(1)")]
    assert store.counters().header_tasks[CALLBACK, TASK, "failed"] == 1


def test_two_deliveries_that_end_alike_in_two_workers_are_two_failures(store: Store) -> None:
    """The main process of each told its own: it does not know the start of a run that its child has left."""
    chord_id, task = new_id(), new_id()
    for node, at in (("one@host", NOW), ("two@host", NOW + 0.04)):
        worker, child = Process(store, node), Process(store, node)
        child.send(chord_id, [started(task, at, index=0)], n=2, c=callback(new_id()))
        fields = {"index": 0, "counted": True, "error": "WorkerLostError: 9"}
        worker.send(chord_id, [ended(task, at + 0.02, End.FAILED, **fields)])
        worker.send(chord_id, [ended(task, at + 0.1, End.FAILED, **fields)])  # told twice
    part = store.get(chord_id).chord.header[0]
    assert [(a.state, a.worker) for a in part.attempts] == [("failed", "one@host"), ("failed", "two@host")]
    assert part.attempts[1].finished_at == pytest.approx(NOW + 0.06, abs=0.001)
    assert store.counters().header_tasks[CALLBACK, TASK, "failed"] == 2


def test_a_task_that_is_revoked_in_two_workers_is_revoked_once(store: Store) -> None:
    chord_id, task = new_id(), new_id()
    for node in ("one@host", "two@host"):
        worker = Process(store, node)
        worker.send(chord_id, [received(task, NOW, index=0)], n=2, c=callback(new_id()))
        worker.send(chord_id, [ended(task, NOW + 1, End.REVOKED, index=0, counted=True)])
    assert store.get(chord_id).chord.header[0].state == "revoked"
    assert store.counters().header_tasks[CALLBACK, TASK, "revoked"] == 1


def test_two_workers_that_start_a_task_in_the_same_millisecond_are_two_runs(store: Store) -> None:
    chord_id, task = new_id(), new_id()
    for node, end in (("one@host", End.SUCCEEDED), ("two@host", End.FAILED)):
        fields = {"index": 0, "started": NOW, "counted": True}
        Process(store, node).send(chord_id, [ended(task, NOW + 1, end, **fields)], n=2, c=callback(new_id()))
    part = store.get(chord_id).chord.header[0]
    assert {(a.state, a.worker) for a in part.attempts} == {("succeeded", "one@host"), ("failed", "two@host")}
    counted = store.counters().header_tasks
    assert [counted[CALLBACK, TASK, event] for event in ("started", "succeeded", "failed")] == [2, 1, 1]


def test_an_end_that_names_no_start_is_of_the_run_in_its_worker(store: Store) -> None:
    chord_id, task = new_id(), new_id()
    Process(store, "one@host").send(chord_id, [started(task, NOW, index=0)], n=1, c=callback(new_id()))
    Process(store, "two@host").send(chord_id, [started(task, NOW + 1, index=0)])
    Process(store, "one@host").send(chord_id, [ended(task, NOW + 2, End.FAILED, index=0, counted=True)])
    part = store.get(chord_id).chord.header[0]
    assert [(a.state, a.worker) for a in part.attempts] == [("failed", "one@host"), ("started", "two@host")]


def test_a_failed_part_fails_the_chord_when_all_are_counted(store: Store) -> None:
    chord_id, tasks = new_id(), [new_id(), new_id()]
    worker = Process(store)
    worker.send(
        chord_id,
        [ended(tasks[0], NOW + 1, End.FAILED, index=0, started=NOW, counted=True, error="KeyError: 1")],
        n=2,
        c=callback(new_id()),
    )
    assert store.get(chord_id).chord.state == "open"
    worker.send(chord_id, [ended(tasks[1], NOW + 2, index=1, started=NOW, counted=True)])
    chord = store.get(chord_id).chord
    assert (chord.state, chord.health) == ("failed", "failed")
    assert chord.finished_at == pytest.approx(NOW + 2, abs=0.001)
    assert chord.header[0].error == "KeyError: 1"


def test_a_dynamic_part_makes_the_chord_larger(store: Store) -> None:
    chord_id, first, added = new_id(), new_id(), new_id()
    worker = Process(store)
    worker.send(
        chord_id,
        [
            published(added, NOW, index=0, dynamic=True),
            ended(first, NOW + 1, index=0, started=NOW, counted=True),
        ],
        n=1,
    )
    recorded = store.get(chord_id)
    assert (recorded.chord.size, recorded.chord.counted, recorded.dynamic) == (2, 1, (added,))
    assert {part.task_id for part in recorded.chord.header} == {first, added}
    worker.send(chord_id, [ended(added, NOW + 2, End.FAILED, index=0, counted=True)])
    assert store.get(added).chord.state == "failed"


def test_a_planned_chord_opens_with_its_first_message(store: Store) -> None:
    chord_id, task = new_id(), new_id()
    process = Process(store)
    process.send(chord_id, [record(Kind.EXPECTED, task, NOW, index=0)], c=callback(new_id()), l=1)
    chord = store.get(task).chord
    assert (chord.state, chord.header[0].state, chord.opened_at) == ("planned", "unknown", None)
    assert store.open_counts() == {}
    assert store.counters().started == {}
    process.send(chord_id, [published(task, NOW + 5, index=0)])
    chord = store.get(chord_id).chord
    assert (chord.state, chord.header[0].state, chord.header[0].name) == ("open", "published", TASK)
    assert store.counters().started == {CALLBACK: 1}


@pytest.mark.parametrize("order", list(itertools.permutations(range(5))), ids=str)
def test_a_task_is_one_whatever_index_its_sightings_tell(store: Store, order: tuple[int, ...]) -> None:
    chord_id, one, other = new_id(), new_id(), new_id()
    records = [
        record(Kind.EXPECTED, one, NOW, queue=None),
        record(Kind.EXPECTED, one, NOW, index=1, queue=None),
        record(Kind.EXPECTED, other, NOW, index=1, queue=None),
        ended(other, NOW + 2, index=1, started=NOW + 1, counted=True),
        ended(one, NOW + 2, index=1, started=NOW + 1, counted=True),
    ]
    worker = Process(store)
    for place in order:
        worker.send(chord_id, [records[place]], n=2)
    chord = store.get(chord_id).chord
    assert (chord.counted, chord.missing) == (2, ())
    assert {(part.task_id, part.state, part.counted) for part in chord.header} == {
        (one, "succeeded", True),
        (other, "succeeded", True),
    }


def test_a_sighting_without_an_index_reaches_the_task_that_has_one(store: Store) -> None:
    chord_id, first, last, stranger = new_id(), new_id(), new_id(), new_id()
    worker = Process(store)
    worker.send(chord_id, [published(first, NOW, index=0), published(last, NOW, index=5)], n=7)
    worker.send(
        chord_id,
        [
            published(stranger, NOW),
            received(first, NOW + 1, index=0),
            ended(last, NOW + 2, End.REVOKED, counted=True),
        ],
    )
    worker.send(chord_id, [ended(first, NOW + 3, End.FAILED, error="KeyError: 1", counted=True)])
    parts = {part.task_id: part for part in store.get(chord_id).chord.header}
    assert {i: (p.index, p.state, p.counted) for i, p in parts.items()} == {
        first: (0, "failed", True),
        last: (5, "revoked", True),
        stranger: (None, "published", False),
    }
    assert store.get(chord_id).chord.counted == 2
    assert store.counters().dropped == {}


@pytest.mark.parametrize("root", [UUID, UUID.upper(), "fifteen-letters", "order-17"])
def test_what_else_is_known_of_a_chord(store: Store, root: str) -> None:
    chord_id, parent = new_id(), new_id()
    facts = {"r": root, "p": parent, "s": b'{"task": "x"}', "x": [NOW, "EncodeError: no"], "a": NOW}
    Process(store).send(chord_id, [published(new_id(), NOW, index=0)], **facts)
    recorded = store.get(chord_id)
    assert (recorded.chord.root_id, recorded.chord.parent_id) == (root, parent)
    assert recorded.signature == b'{"task": "x"}'
    assert recorded.dispatch_error == (pytest.approx(NOW, abs=0.001), "EncodeError: no")


def test_an_unsure_entry_makes_no_chord_but_waits_for_one(store: Store) -> None:
    chord_id, task = new_id(), new_id()
    Process(store, "one@host").send(chord_id, [ended(task, NOW + 1, End.FAILED, index=0, counted=True)], u=1)
    assert store.get(chord_id) is None
    assert store.open_chords() == []
    Process(store, "producer").send(chord_id, [published(task, NOW, index=0)], n=2)
    chord = store.get(chord_id).chord
    assert (chord.counted, chord.header[0].state, chord.header[0].worker) == (1, "failed", "one@host")


def test_namespaces_do_not_mix(open_store: OpenStore) -> None:
    one, other = open_store(namespace="one"), open_store(namespace="other")
    chord_id, _, _ = run_chord(one, size=1, at=NOW)
    assert one.get(chord_id).chord.namespace == "one"
    assert other.get(chord_id) is None
    assert other.counters().started == {}


def test_chords_are_settled_once_after_a_second(store: Store) -> None:
    chord_id, callback_id, _ = run_chord(store, size=3, at=NOW)
    assert store.counters().finished == {}
    assert [c.chord.chord_id for c in store.finished_chords()] == [chord_id]
    counters = wait_until(
        lambda: store.counters() if store.counters().finished else None, "the chord settles"
    )
    assert counters.finished == {(CALLBACK, "succeeded"): 1}
    assert {name: h[CALLBACK].sum for name, h in counters.histograms.items()} == {
        "duration": pytest.approx(4, abs=0.002),
        "barrier": pytest.approx(2.002, abs=0.002),
        "callback_wait": pytest.approx(1.498, abs=0.002),
        "straggler": pytest.approx(0.001, abs=0.002),
    }
    assert all(sum(h[CALLBACK].counts) == 1 for h in counters.histograms.values())
    role = {"role": Role.CALLBACK, "name": CALLBACK}
    Process(store).send(chord_id, [ended(callback_id, NOW + 9, started=NOW + 8, last=True, **role)])
    assert store.counters().finished == {(CALLBACK, "succeeded"): 1}
    assert [c.chord.chord_id for c in store.finished_chords()] == [chord_id]
