from __future__ import annotations

from dataclasses import replace

import pytest

from chordwatch.evidence.facts import Place
from chordwatch.model import Callback, MissingPart
from chordwatch.watch import Sighting
from chordwatch.watch.words import (
    SENTENCE_LENGTH,
    cause_of,
    duration,
    explained,
    progress_of,
    unlocated,
    waits_for,
    why,
)
from tests.unit.cli.rendered import NAMES, sighting, verdict
from tests.unit.seen import NOW, header_task, open_chord


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, "1 of 2"),
        ({"size": None}, "1 of ?"),
        ({"size": None, "missing": (), "counted": 2, "state": "succeeded"}, "2"),
        ({"size": None, "missing": (), "counted": 0}, "0 of ?"),
        ({"size": 100_000, "counted": 99_999}, "99,999 of 100,000"),
        ({"size": 0, "counted": 0, "missing": ()}, "0 of 0"),
    ],
)
def test_progress_is_k_of_n(fields: dict[str, object], shown: str) -> None:
    assert progress_of(open_chord(**fields)) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "?"),
        (float("nan"), "?"),
        (-5, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (864_000_000, "10,000 d"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_a_certain_verdict_stands_for_all() -> None:
    verdicts = (verdict(summary="First.", certain=True), verdict(summary="Second."))

    assert cause_of(open_chord(verdicts=verdicts)) == "First."


def test_of_two_causes_that_cannot_be_told_apart_both_are_named() -> None:
    verdicts = (verdict(summary="This."), verdict(summary="That."), verdict(summary="More."))

    assert cause_of(open_chord(verdicts=verdicts)) == "This; or: That (not certain)"


def test_what_two_causes_begin_with_is_said_once() -> None:
    lost = "1 part is nowhere and never counted: "
    verdicts = (
        verdict(summary=f"{lost}it may be here."),
        verdict(summary=f"{lost}it may be there: far off."),
    )

    assert cause_of(open_chord(verdicts=verdicts)) == (
        "1 part is nowhere and never counted: it may be here; or it may be there: far off (not certain)"
    )


def test_causes_of_different_parts_are_no_alternatives() -> None:
    verdicts = (verdict(summary="This."), verdict(summary="That.", tasks=("h2", "body")))

    assert cause_of(open_chord(verdicts=verdicts)) == "This; and: That (not certain)"
    alike = (verdict(summary="Lost: this."), verdict(summary="Lost: that.", tasks=("h2",)))
    assert cause_of(open_chord(verdicts=alike)) == "Lost: this; and: Lost: that (not certain)"
    both = (verdict(summary="This.", tasks=()), verdict(summary="That.", tasks=("body",)))
    assert cause_of(open_chord(verdicts=both)) == "This; or: That (not certain)"


def test_a_milder_cause_is_no_alternative() -> None:
    verdicts = (verdict(summary="This."), verdict(summary="That.", outcome="waiting"))

    assert cause_of(open_chord(verdicts=verdicts)) == "This (not certain)"


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_what_is_said_is_one_short_line(name: str) -> None:
    places = {"h1": Place(kind="queue", name=name), "body": Place(kind="active", name=name)}
    said = waits_for(Sighting(chord=open_chord(), places=places), now=NOW)
    caused = cause_of(open_chord(verdicts=(verdict(summary=name),)))

    for text in (said, caused):
        assert text.isprintable()
        assert len(text) <= SENTENCE_LENGTH + 20


def test_without_a_verdict_the_places_are_told() -> None:
    places = {
        "h1": Place(kind="unacked", name="low"),
        "h2": Place(kind="nowhere"),
        "h3": Place(kind="active", name="w1@zoo"),
        "h4": Place(kind="active", name="w2@zoo"),
    }
    missing = (*(MissingPart(index=n, task_id=f"h{n}") for n in range(1, 5)), MissingPart(index=5))
    seen = Sighting(chord=open_chord(size=6, missing=missing), places=places)

    assert why(seen, now=NOW) == (
        "waits for: 1 nowhere, 1 unacked from low, 2 running on 2 workers, 1 not located"
    )


def test_a_task_that_is_due_says_in_how_long() -> None:
    places = {"h1": Place(kind="scheduled", name="w1@zoo", eta=NOW + 60)}

    said = waits_for(Sighting(chord=open_chord(), places=places), now=NOW)

    assert said == "1 scheduled on w1@zoo (due in 1 min)"


def test_when_all_is_counted_only_the_callback_is_waited_for() -> None:
    header = (header_task(0, counted=True), header_task(1, counted=True))
    chord = open_chord(header=header, missing=(), counted=2)

    assert waits_for(Sighting(chord=chord), now=NOW) == "the callback"
    places = {"body": Place(kind="queue", name="nobody")}
    assert waits_for(Sighting(chord=chord, places=places), now=NOW) == "the callback, in queue nobody"


def test_a_chord_of_which_nothing_is_known_waits_for_something_unknown() -> None:
    chord = open_chord(size=None, missing=(), counted=0, callback=Callback())

    assert waits_for(Sighting(chord=chord), now=NOW) == "?"
    assert waits_for(Sighting(chord=replace(chord, counted=2)), now=NOW) == "an unknown number of parts"


def test_a_finished_chord_waits_for_nothing() -> None:
    assert why(sighting(state="succeeded"), now=NOW) == ""


def test_a_verdict_on_some_parts_does_not_hide_those_that_were_not_located() -> None:
    chord = open_chord(size=4, counted=1, missing=(), verdicts=(verdict(summary="One waits."),))
    seen = Sighting(chord=chord, places={"t0": Place(kind="queue", name="low")})

    assert unlocated(seen) == 2
    assert why(seen, now=NOW).endswith("And 2 more not located.")


def test_parts_that_the_verdict_names_are_not_told_again_as_not_located() -> None:
    lost = verdict(summary="2 tasks were lost.", tasks=("h1", "h2"), certain=True)
    missing = tuple(MissingPart(index=index, task_id=f"h{index}") for index in (1, 2, 3))
    seen = sighting(size=4, counted=1, missing=missing, verdicts=(lost,), health="hung")
    seen = replace(seen, places={"h1": Place(kind="nowhere")})

    assert unlocated(seen) == 3
    assert explained(seen) == "2 tasks were lost. And 1 more not located."
    assert explained(replace(seen, chord=replace(seen.chord, counted=2))) == "2 tasks were lost."


def test_a_verdict_on_parts_without_ids_speaks_of_all_of_them() -> None:
    missing = (MissingPart(index=1, task_id="h1"), MissingPart(index=2), MissingPart(index=3))
    lost = verdict(summary="2 parts are nowhere.", tasks=())
    seen = sighting(size=4, counted=1, missing=missing, verdicts=(lost,), health="hung")

    assert explained(seen) == "2 parts are nowhere (not certain)"
    named_too = replace(seen, places={"h1": Place(kind="nowhere")})
    assert explained(named_too) == "2 parts are nowhere (not certain). And 1 more not located."
    of_all = replace(
        seen, chord=replace(seen.chord, verdicts=(verdict(summary="All lost.", tasks=("body",)),))
    )
    assert explained(of_all) == "All lost (not certain)"


def test_a_remark_speaks_of_no_part() -> None:
    remark = verdict(cause="chord_reapplied", summary="It was sent twice.", tasks=(), outcome="ok")
    missing = (MissingPart(index=1), MissingPart(index=2))
    seen = sighting(size=3, counted=1, missing=missing, verdicts=(remark,))
    seen = replace(seen, places={})

    assert explained(seen) == "It was sent twice (not certain). And 2 more not located."
    runs = replace(remark, cause="header_running", summary="2 parts may run.")
    assert (
        explained(replace(seen, chord=replace(seen.chord, verdicts=(runs,))))
        == "2 parts may run (not certain)"
    )


def test_of_unknown_size_parts_that_were_never_seen_may_be_counted_already() -> None:
    missing = (MissingPart(index=0), MissingPart(index=1, task_id="h1"), MissingPart(index=2, task_id="h2"))
    waits = verdict(summary="1 task waits.", certain=True)
    seen = sighting(size=None, counted=0, missing=missing, verdicts=(waits,), health="hung")

    assert explained(seen) == "1 task waits. And 1 more not located."
    located = replace(seen, places={**seen.places, "h2": Place(kind="active", name="w1@zoo")})
    assert explained(located) == "1 task waits."


def test_where_a_line_may_be_cut_what_runs_comes_first() -> None:
    missing = tuple(MissingPart(index=n, task_id=f"h{n}") for n in (1, 2))
    places = {"h1": Place(kind="queue", name="low"), "h2": Place(kind="active", name="w1@zoo")}
    seen = Sighting(chord=open_chord(size=3, missing=missing), places=places)

    assert waits_for(seen, now=NOW) == "1 in queue low, 1 running on w1@zoo"
    assert waits_for(seen, now=NOW, running_first=True) == "1 running on w1@zoo, 1 in queue low"


def test_a_planned_chord_waits_for_what_comes_before_it() -> None:
    planned = Sighting(chord=open_chord(state="planned", size=3, counted=0))

    assert why(planned, now=NOW) == "waits for: the tasks before it; it is not sent yet"
    assert unlocated(planned) == 0
