"""What both stores make of records that are odd: ids and names of any form, indexes, times, sizes, versions."""

from __future__ import annotations

import time

import pytest

from chordwatch.recording.records import End
from chordwatch.store.protocol import Store
from tests.contract.batches import (
    Process,
    callback,
    ended,
    new_id,
    pack,
    published,
    started,
)

NOW = time.time()


def test_ids_of_any_form(store: Store) -> None:
    chord_id, odd = "my chord \U0001f3b5", ["a", "x" * 10_000, "nul\0", "lone \ud800", "0123456789abcdef"]
    Process(store).send(
        chord_id,
        [ended(i, NOW, index=n, started=NOW, counted=True) for n, i in enumerate(odd)],
        n=len(odd) + 1,
    )
    chord = store.get(chord_id).chord
    assert [part.task_id for part in chord.header] == odd
    assert chord.counted == len(odd)
    for task_id in odd:
        assert store.get(task_id).chord.chord_id == chord_id


@pytest.mark.parametrize("name", ["nul\0", "lone \ud800", "\U0001f3b5" * 300, "x" * 10_000, "a}{b", "\xff\n"])
def test_names_of_any_form_are_cut(store: Store, name: str) -> None:
    chord_id, task = new_id(), new_id()
    worker = Process(store, node=name)
    fields = {"index": 0, "name": name, "queue": name}
    worker.send(
        chord_id,
        [ended(task, NOW, End.FAILED, started=NOW, error=name, **fields)],
        c=callback(new_id(), name),
        x=[NOW, name],
    )
    recorded = store.get(chord_id)
    part = recorded.chord.header[0]
    assert [part.name, part.queue, part.worker, part.error] == [name[:200]] * 4
    assert recorded.chord.callback.name == name[:200]
    assert recorded.dispatch_error[1] == name[:200]
    assert sum(store.counters().header_tasks.values()) == 2


def test_two_tasks_with_one_index_are_two(store: Store) -> None:
    chord_id, tasks = new_id(), [new_id(), new_id()]
    Process(store).send(chord_id, [ended(i, NOW, index=1, started=NOW, counted=True) for i in tasks], n=2)
    chord = store.get(chord_id).chord
    assert {part.task_id for part in chord.header} == set(tasks)
    assert chord.counted == 2


def test_huge_and_absent_indexes(store: Store) -> None:
    chord_id, far, nowhere = new_id(), new_id(), new_id()
    Process(store).send(chord_id, [published(far, NOW, index=1 << 40), published(nowhere, NOW)])
    assert {(p.index, p.task_id) for p in store.get(far).chord.header} == {(1 << 40, far), (None, nowhere)}


def test_times_far_apart(store: Store) -> None:
    chord_id, tasks = new_id(), [new_id(), new_id()]
    worker = Process(store)
    worker.send(chord_id, [published(i, NOW, index=n) for n, i in enumerate(tasks)])
    worker.send(chord_id, [ended(tasks[0], NOW + 86_400, index=0, started=NOW + 80_000, counted=True)])
    worker.send(chord_id, [started(tasks[1], NOW - 86_400, index=1)])
    first, second = store.get(chord_id).chord.header
    assert first.finished_at == pytest.approx(NOW + 86_400, abs=0.001)
    assert second.started_at == pytest.approx(NOW - 86_400, abs=0.001)
    assert second.published_at == pytest.approx(NOW, abs=0.001)


def test_progress_is_never_in_the_future(store: Store) -> None:
    chord_id = new_id()
    Process(store).send(chord_id, [published(new_id(), NOW + 10_000, index=0)])
    assert store.get(chord_id).chord.progressed_at <= store.now() + 1.5


def test_a_chord_of_a_hundred_thousand(store: Store) -> None:
    chord_id, tasks = new_id(), [new_id() for _ in range(100_000)]
    worker, size = Process(store), len(tasks)
    for start in range(0, size, 5000):
        parts = list(enumerate(tasks))[start : start + 5000]
        worker.send(
            chord_id,
            [ended(i, NOW + 1, index=n, started=NOW, counted=True) for n, i in parts if n != 77_777],
            n=size,
        )
    assert store.get(tasks[99_999]).chord.counted == size - 1
    (listed,) = store.open_chords()
    assert [gap.index for gap in listed.chord.missing] == [77_777]
    chord = store.get(chord_id).chord
    assert [part.task_id for part in chord.header] == [i for n, i in enumerate(tasks) if n != 77_777]


def test_a_batch_of_another_version_or_of_no_version_is_refused_and_counted(store: Store) -> None:
    chord_id = new_id()
    batch = pack("boot", 1, "node", [(chord_id, {"n": 1}, [])])
    store.apply(b"\x97\x02" + batch[2:])
    store.apply(b"\xff\xfe no msgpack")
    broken = published(new_id(), "not a time", index=0)
    fine = new_id()
    chords = [(chord_id, {"n": 1}, [broken]), (fine, {"n": 1}, [])]
    store.apply(pack("boot", 2, "node", chords, dropped={"overflow": 7}))
    assert store.get(fine).chord.size == 1
    assert store.counters().dropped == {"version": 1, "overflow": 7, "corrupt": 2}
