from __future__ import annotations

import time
from typing import Any

import pytest

from chordwatch.model import Callback, HeaderTask
from chordwatch.store.protocol import RecordedChord
from chordwatch.watch import habits as module
from chordwatch.watch.habits import MIN_RUNS, Habits
from tests.support.pace import within
from tests.unit.recorded import recorded
from tests.unit.seen import NOW

DONE: dict[str, Any] = {"state": "succeeded", "finished_at": NOW}


def took(seconds: float, id_: str, called: str = "zoo.add", **fields: Any) -> HeaderTask:
    """Return a counted part that ran for so long."""
    usual: dict[str, Any] = {
        "task_id": id_,
        "name": called,
        "counted": True,
        "state": "succeeded",
        "finished_at": NOW,
    }
    return HeaderTask(**{"index": 0, "started_at": NOW - seconds, **usual, **fields})


def chord(id_: str, *header: HeaderTask, **fields: Any) -> RecordedChord:
    """Return an open chord with this header."""
    counted = sum(task.counted for task in header)
    return recorded(**{"chord_id": id_, "header": header, "counted": counted, "missing": (), **fields})


def many(*seconds: float, name: str = "zoo.add", id_: str = "c") -> RecordedChord:
    """Return a finished chord whose parts ran for so long each."""
    header = (took(each, f"{id_}-{number}", name) for number, each in enumerate(seconds))
    return chord(id_, *header, **DONE)


def learnt(*chords: RecordedChord) -> dict[str, float]:
    habits = Habits()
    habits.learn(chords)
    return dict(habits.usual())


def counts(habits: Habits) -> dict[str, int]:
    return {name: len(runs) for name, runs in habits._runs.items()}


def test_the_usual_is_what_nearly_all_took_at_most() -> None:
    assert learnt(many(*range(1, 201))) == {"zoo.add": pytest.approx(198)}
    assert learnt(many(*[1.0] * 99, 900.0)) == {"zoo.add": pytest.approx(1.0)}


def test_a_few_runs_are_no_habit() -> None:
    assert learnt(many(*[5.0] * (MIN_RUNS - 1))) == {}
    assert learnt(many(*[5.0] * MIN_RUNS)) == {"zoo.add": pytest.approx(5.0)}


def test_names_are_told_apart() -> None:
    assert learnt(many(*[1.0] * 20), many(*[9.0] * 20, name="zoo.nap", id_="d")) == {
        "zoo.add": pytest.approx(1.0),
        "zoo.nap": pytest.approx(9.0),
    }


def test_of_an_open_chord_only_counted_parts_are_learnt() -> None:
    habits, callback = Habits(), Callback(task_id="b", name="zoo.all", state="succeeded")
    parts = [took(3, "x"), took(3, "y", counted=False)]
    habits.learn([chord("c", *parts, callback=callback)])

    assert counts(habits) == {"zoo.add": 1}


def test_a_callback_is_learnt_when_its_chord_is_over() -> None:
    callback = Callback(task_id="b", name="zoo.all", state="succeeded", started_at=NOW - 4, finished_at=NOW)
    habits, part = Habits(), took(3, "x")
    habits.learn([chord("c", part)])
    habits.learn([chord("c", part, callback=callback, **DONE)])

    assert counts(habits) == {"zoo.add": 1, "zoo.all": 1}
    assert list(habits._runs["zoo.all"]) == [4]


def test_each_run_is_learnt_once_while_its_chord_goes_on() -> None:
    habits, parts = Habits(), [took(1, f"t{number}") for number in range(4)]
    for stage in (parts[:1], parts[:1], parts[:3], parts, parts):
        habits.learn([chord("c", *stage)])
    habits.learn([chord("c", *parts, **DONE)])
    habits.learn([chord("c", *parts, took(1, "late"), **DONE)])

    assert counts(habits) == {"zoo.add": 4}


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "revoked"},
        {"state": "ignored"},
        {"started_at": None},
        {"finished_at": None},
        {"name": None},
        {"task_id": None},
        {"started_at": NOW + 1},
    ],
    ids=str,
)
def test_what_did_not_run_to_its_end_is_not_learnt(fields: dict[str, Any]) -> None:
    habits = Habits()
    habits.learn([chord("c", took(3, "x", **fields), took(3, "y", state="failed"))])

    assert counts(habits) == {"zoo.add": 1}


def test_the_newest_runs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_RUNS", 30)
    old = chord("old", *(took(9, f"o{number}") for number in range(30)), state="failed", finished_at=NOW - 9)

    assert learnt(many(*[1.0] * 30), old) == {"zoo.add": pytest.approx(1.0)}


def test_names_are_bounded_and_those_not_met_for_longest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_NAMES", 2)
    habits = Habits()
    for id_, name in (("a", "one"), ("b", "two"), ("c", "one"), ("d", "three")):
        habits.learn([many(*[1.0] * 20, name=name, id_=id_)])

    assert set(habits.usual()) == set(habits._runs) == {"one", "three"}
    habits.learn([many(*[1.0] * 20, name="four", id_="e")])
    assert set(habits.usual()) == {"three", "four"}


def test_chords_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_CHORDS", 3)
    habits = Habits()
    for number in range(10):
        habits.learn([chord(f"c{number}", took(1, f"t{number}"))])

    assert list(habits._learnt) == ["c7", "c8", "c9"]
    assert habits._remembered == 3


def test_beyond_the_tasks_that_are_remembered_a_chord_teaches_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MAX_TASKS", 2)
    habits, first, second = Habits(), [took(1, "a"), took(1, "b")], [took(2, "c", "zoo.nap")]
    habits.learn([chord("one", *first), chord("two", *second)])
    assert counts(habits) == {"zoo.add": 2}

    habits.learn([chord("two", *second, **DONE)])
    assert counts(habits) == {"zoo.add": 2, "zoo.nap": 1}
    habits.learn([chord("one", *first, **DONE)])
    assert (counts(habits)["zoo.add"], habits._remembered) == (2, 0)


def test_ten_thousand_chords_of_twenty_are_learnt_quickly() -> None:
    header = [[took(1, f"{c}-{t}", f"zoo.t{t}") for t in range(20)] for c in range(10_000)]
    chords = [chord(f"c{number}", *tasks) for number, tasks in enumerate(header)]
    habits = Habits()

    assert within(min(seconds(habits, chords) for habits in (Habits(), Habits(), habits)), 0.5)
    assert within(min(seconds(habits, chords) for _ in range(3)), 0.05)
    assert len(habits.usual()) == 20


def seconds(habits: Habits, chords: list[RecordedChord]) -> float:
    """Return the processor's seconds that a look takes."""
    begun = time.process_time()
    habits.learn(chords)
    habits.usual()
    return time.process_time() - begun
