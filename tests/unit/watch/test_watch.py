from __future__ import annotations

import pytest

from chordwatch.model import Callback
from chordwatch.watch import HEALTH_FILTERS, matches
from chordwatch.watch.watch import _order
from tests.unit.seen import NOW, open_chord

HUNG = open_chord(health="hung")
DONE = open_chord(state="succeeded", health="done")
FAILED = open_chord(state="failed", health="failed")
FAILING = open_chord(health="failed")


@pytest.mark.parametrize(
    ("health", "shown"),
    [
        ("all", [HUNG, DONE, FAILED, FAILING]),
        ("open", [HUNG, FAILING]),
        ("hung", [HUNG]),
        ("done", [DONE]),
        ("failed", [FAILED, FAILING]),
        ("late", []),
    ],
)
def test_a_filter_shows_the_chords_of_that_health(health: str, shown: list[object]) -> None:
    assert [chord for chord in (HUNG, DONE, FAILED, FAILING) if matches(chord, health, None)] == shown


def test_a_filter_by_callback_wants_the_whole_name() -> None:
    assert matches(HUNG, "all", "zoo.collect")
    assert not matches(HUNG, "all", "zoo")
    assert not matches(open_chord(callback=Callback()), "all", "zoo.collect")


def test_the_filters_are_those_of_the_contract() -> None:
    assert set(HEALTH_FILTERS) == {
        "ok",
        "waiting",
        "late",
        "looping",
        "hung",
        "failed",
        "done",
        "open",
        "all",
    }


def test_the_oldest_open_comes_first_and_the_newest_finished_after_all_open() -> None:
    chords = {
        "old": open_chord(progressed_at=NOW - 90),
        "published": open_chord(opened_at=NOW - 60, progressed_at=NOW - 60),
        "young": open_chord(progressed_at=NOW - 1),
        "ageless": open_chord(progressed_at=None),
        "just done": open_chord(state="succeeded", finished_at=NOW - 2),
        "long done": open_chord(state="failed", finished_at=NOW - 99),
        "done once": open_chord(state="succeeded", finished_at=None),
    }

    shuffled = list(chords)[::-1]

    assert sorted(shuffled, key=lambda name: _order(chords[name])) == list(chords)
