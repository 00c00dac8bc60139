"""What both stores make of the records of callbacks and errbacks."""

from __future__ import annotations

import time

import pytest

from chordwatch.recording.records import End, Role, pack_id
from chordwatch.store.protocol import Store
from tests.contract.batches import (
    CALLBACK,
    Process,
    callback,
    callback_run,
    ended,
    new_id,
    published,
    run_chord,
    started,
)

NOW = time.time()


def test_a_chain_as_callback_ends_with_its_last_step(store: Store) -> None:
    chord_id, part, steps = new_id(), new_id(), [new_id(), new_id()]
    worker = Process(store)
    facts = {"n": 1, "c": callback(steps[0])}
    worker.send(chord_id, [ended(part, NOW, index=0, started=NOW - 1, counted=True)], **facts)
    worker.send(
        chord_id, [ended(steps[0], NOW + 1, role=Role.CALLBACK, started=NOW, last=False, name=CALLBACK)]
    )
    known = store.get(chord_id)
    assert (known.chord.state, known.chord.callback.state, known.step_id) == ("open", "started", None)
    worker.send(chord_id, [published(steps[1], NOW + 2, role=Role.CALLBACK)])
    assert store.get(chord_id).step_id == steps[1]
    last = ended(steps[1], NOW + 3, role=Role.CALLBACK, started=NOW + 2, last=True, name="proj.tasks.then")
    worker.send(chord_id, [last])
    chord = store.get(steps[1]).chord
    assert (chord.chord_id, chord.state, chord.callback.name) == (chord_id, "succeeded", CALLBACK)
    assert chord.finished_at == pytest.approx(NOW + 3, abs=0.001)


def test_the_runs_of_a_callback_that_was_delivered_twice_are_told(store: Store) -> None:
    chord_id, callback_id, _ = run_chord(store, size=1, at=NOW)
    assert store.get(chord_id).callback_runs == {}
    role = {"role": Role.CALLBACK, "name": CALLBACK}
    other = Process(store, "other@host")
    other.send(chord_id, [started(callback_id, NOW + 6, **role)])
    recorded = store.get(chord_id)
    runs = recorded.callback_runs[callback_id]
    assert [(run.attempt, run.state, run.worker) for run in runs] == [
        (0, "succeeded", "worker@host"),
        (0, "started", "other@host"),
    ]
    assert [run.started_at for run in runs] == pytest.approx([NOW + 3.5, NOW + 6], abs=0.001)
    assert (recorded.chord.state, recorded.chord.callback.state) == ("succeeded", "succeeded")
    (listed,) = store.finished_chords()
    assert listed.callback_runs == recorded.callback_runs
    assert store.chords([chord_id])[0].callback_runs == recorded.callback_runs


def test_of_a_callback_of_several_tasks_those_that_ran_again_are_told(store: Store) -> None:
    chord_id, part, steps = new_id(), new_id(), [new_id(), new_id()]
    worker, role = Process(store), {"role": Role.CALLBACK}
    facts = {"n": 1, "c": callback(steps[1])}
    worker.send(chord_id, [ended(part, NOW, index=0, started=NOW - 1, counted=True)], **facts)
    again = [
        ended(steps[0], NOW + 2, End.RETRYING, started=NOW + 1, **role),
        ended(steps[0], NOW + 4, started=NOW + 3, retries=1, **role),
        ended(steps[0], NOW + 6, started=NOW + 5, retries=1, **role),
        ended(steps[1], NOW + 8, started=NOW + 7, last=True, **role),
    ]
    worker.send(chord_id, again)
    recorded = store.get(chord_id)
    assert recorded.callback_runs.keys() == {steps[0]}
    assert [(run.attempt, run.state) for run in recorded.callback_runs[steps[0]]] == [
        (0, "retrying"),
        (1, "succeeded"),
        (1, "succeeded"),
    ]
    # An errback that ran twice is none.
    worker.send(chord_id, [started(part, NOW + at, role=Role.ERRBACK) for at in (9, 10)])
    assert store.get(chord_id).callback_runs.keys() == {steps[0]}


def test_a_callback_that_was_replaced_ran_where_its_last_task_did(store: Store) -> None:
    chord_id, part, body, inner = new_id(), new_id(), new_id(), new_id()
    worker, other, role = Process(store), Process(store, "other@host"), {"role": Role.CALLBACK}
    worker.send(
        chord_id,
        [ended(part, NOW, index=0, started=NOW - 1, counted=True)],
        n=1,
        c=callback(body),
    )
    # What replaced it is a chord, one part of which Celery says to have ended when the callback has run.
    worker.send(chord_id, [ended(body, NOW + 3, started=NOW + 2.9, nesting=1, last=True, **role)])
    other.send(chord_id, [ended(inner, NOW + 3.002, started=NOW + 2, nesting=1, **role)])

    chord = store.get(chord_id).chord
    assert (chord.state, chord.callback.state, chord.callback.worker) == (
        "succeeded",
        "succeeded",
        "worker@host",
    )


def test_a_group_as_callback_ends_with_its_last_member(store: Store) -> None:
    chord_id, members = new_id(), [new_id(), new_id()]
    worker = Process(store)
    worker.send(chord_id, callback_run(members[0], NOW), c=callback(new_id(), ends=2), n=0)
    assert store.get(chord_id).chord.state == "open"
    worker.send(chord_id, callback_run(members[1], NOW + 5))
    assert store.get(chord_id).chord.state == "succeeded"


def test_the_header_of_a_chord_that_is_a_callback_is_found_in_its_own_chord(store: Store) -> None:
    outer, inner, part, worker = new_id(), new_id(), new_id(), Process(store)
    worker.send(outer, [published(part, NOW, role=Role.CALLBACK)], c=callback(new_id()))
    worker.send(inner, [published(part, NOW, index=0)], c=callback(new_id()))
    assert store.get(part).chord.chord_id == inner


def test_a_callback_that_fails_fails_the_chord(store: Store) -> None:
    chord_id, task, body = new_id(), new_id(), new_id()
    worker = Process(store)
    worker.send(chord_id, [ended(task, NOW, index=0, started=NOW - 1, counted=True)], n=1, c=callback(body))
    role = {"role": Role.CALLBACK, "name": CALLBACK}
    worker.send(chord_id, [ended(body, NOW + 1, End.RETRYING, started=NOW, error="OSError", **role)])
    worker.send(chord_id, [published(body, NOW + 1, retries=1, **role)])
    assert store.get(chord_id).chord.callback.state == "retrying"
    worker.send(
        chord_id, [ended(body, NOW + 3, End.FAILED, retries=1, started=NOW + 2, error="OSError: 5", **role)]
    )
    chord = store.get(chord_id).chord
    assert (chord.state, chord.callback.state, chord.callback.attempt) == ("failed", "failed", 1)
    assert chord.callback.error == "OSError: 5"
    assert store.counters().retries == {(CALLBACK, CALLBACK, "callback"): 1}


def test_errbacks_are_told_with_their_state(store: Store) -> None:
    chord_id, errback = new_id(), new_id()
    worker = Process(store)
    worker.send(chord_id, n=1, e=[[pack_id(errback), "proj.tasks.sorry"], [None, "proj.tasks.tell"]])
    worker.send(chord_id, [ended(errback, NOW, role=Role.ERRBACK, started=NOW, name="proj.tasks.sorry")])
    errbacks = store.get(chord_id).chord.errbacks
    assert [(e.task_id, e.name, e.state) for e in errbacks] == [
        (errback, "proj.tasks.sorry", "succeeded"),
        (None, "proj.tasks.tell", "unknown"),
    ]


def test_a_signature_is_kept_only_while_the_chord_is_open(store: Store) -> None:
    chord_id, _, _ = run_chord(store, size=1, at=NOW)
    Process(store).send(chord_id, s=b"late")
    assert store.get(chord_id).signature is None
