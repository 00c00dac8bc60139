from __future__ import annotations

import pytest

from chordwatch.evidence.facts import Place
from chordwatch.model import Callback
from chordwatch.watch.words import cause_of, duration, progress_of, waits_for
from tests.unit.dashboards.dashboard_fakes import NOW, chord, sighting, verdict


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "?"),
        (float("nan"), "?"),
        (-3, "0 s"),
        (0.9, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61.5, "1 min 1 s"),
        (3600, "1 h"),
        (7300, "2 h 1 min"),
        (86400, "1 d"),
        (93600, "1 d 2 h"),
        (86400 * 1234, "1,234 d"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float | None, expected: str) -> None:
    assert duration(seconds) == expected


def test_progress_is_k_of_n_with_a_question_mark_for_an_unknown_size() -> None:
    assert progress_of(chord(counted=3, size=8)) == "3 of 8"
    assert progress_of(chord(counted=41, size=None)) == "41 of ?"
    assert progress_of(chord(counted=99_990, size=100_000)) == "99,990 of 100,000"


def test_the_cause_is_the_first_verdicts_summary() -> None:
    verdicts = (verdict(summary="Queue low has no consumer."), verdict(summary="A remark."))

    assert cause_of(chord(verdicts=verdicts)) == "Queue low has no consumer."
    assert cause_of(chord(verdicts=())) == ""


def test_two_readings_of_uncertain_evidence_are_both_named() -> None:
    verdicts = (
        verdict(certain=False, summary="The message is lost."),
        verdict("late", certain=False, summary="Only a remark."),
        verdict(certain=False, summary="The worker is lost."),
    )

    assert cause_of(chord(verdicts=verdicts)) == "The message is lost; or: The worker is lost (not certain)"
    assert cause_of(chord(verdicts=verdicts[:1])) == "The message is lost (not certain)"


def test_missing_tasks_are_counted_by_place() -> None:
    places = {
        "t0": Place(kind="nowhere"),
        "t1": Place(kind="queue", name="low"),
        "t2": Place(kind="queue", name="low"),
    }

    assert waits_for(sighting(places=places, size=6), now=NOW) == "2 in queue low, 1 nowhere"


def test_many_workers_are_counted_and_not_listed() -> None:
    places = {f"t{index}": Place(kind="active", name=f"w{index}") for index in range(1200)}

    assert waits_for(sighting(places=places, size=1203), now=NOW) == "1,200 running on 1200 workers"


def test_a_task_that_is_due_later_says_when() -> None:
    places = {"t0": Place(kind="scheduled", name="w1", eta=NOW + 7140)}

    assert waits_for(sighting(places=places, size=4), now=NOW) == "1 scheduled on w1 (due in 1 h 59 min)"


def test_an_eta_in_the_past_is_not_mentioned() -> None:
    places = {"t0": Place(kind="reserved", name="w1", eta=NOW - 5)}

    assert waits_for(sighting(places=places, size=4), now=NOW) == "1 reserved by w1"


def test_missing_tasks_without_a_known_place_are_counted_too() -> None:
    assert waits_for(sighting(size=8, counted=3), now=NOW) == "5 not located"


def test_a_complete_header_waits_for_the_callback() -> None:
    complete: dict[str, object] = {"size": 8, "counted": 8}
    places = {"body": Place(kind="queue", name="reports")}

    assert waits_for(sighting(places=places, **complete), now=NOW) == "the callback, in queue reports"
    assert waits_for(sighting(**complete), now=NOW) == "the callback"
    assert waits_for(sighting(health="failed", **complete), now=NOW) == "nothing any more"


def test_a_callback_that_is_not_yet_published_is_not_missed() -> None:
    places = {"t0": Place(kind="active", name="w1"), "body": Place(kind="nowhere")}

    assert waits_for(sighting(places=places, size=4), now=NOW) == "1 running on w1"


def test_a_chord_of_which_nothing_is_known_waits_for_something_unknown() -> None:
    assert waits_for(sighting(size=None, missing=(), callback=Callback()), now=NOW) == "?"


def test_a_hostile_queue_name_is_shown_literally_in_its_place() -> None:
    places = {"t0": Place(kind="queue", name="{name}\n<b>" + "q" * 100)}

    said = waits_for(sighting(places=places, size=4), now=NOW)

    assert said.startswith(r"1 in queue {name}\n<b>qqq")
    assert said.endswith("…")
