from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from chordwatch.model import Callback, Chord, to_json
from tasks.demo.plays import Play, patience_seconds, plays_of
from tasks.demo.table import Screen, fraction, table_of
from tasks.launch import Started
from tasks.scenarios import SCENARIOS, Scenario

CHORD = Chord(
    chord_id="c" * 36,
    state="open",
    health="ok",
    size=3,
    counted=1,
    missing=(),
    callback=Callback(name="tasks.shapes.total"),
    header=(),
)
STARTED = Started(CHORD.chord_id, "b", "b")


def fails() -> Started:
    raise RuntimeError("no broker")


def scenario(expected: str = "done", **fields: object) -> Scenario:
    given = {
        "name": "example",
        "description": "",
        "start": lambda: STARTED,
        "expected": expected,
        "seconds": 0.0,
    }
    return Scenario(**{**given, **fields})


def played(expected: str, chord: Chord | None) -> Play:
    play = Play(scenario=scenario(expected))
    play.start()
    play.follow({} if chord is None else {chord.chord_id: chord}, lambda _id: None)
    return play


@pytest.mark.parametrize(
    ("expected", "chord", "as_expected"),
    [
        ("done", replace(CHORD, state="succeeded", health="done"), True),
        ("done", CHORD, False),
        ("open", CHORD, True),
        ("hung", replace(CHORD, health="hung"), True),
        ("hung", None, False),
        ("planned", replace(CHORD, state="planned"), True),
        ("planned", CHORD, False),
        ("planned", None, False),
        ("none", None, True),
        ("none", CHORD, False),
    ],
)
def test_a_play_is_as_expected_by_its_health_or_its_state(
    expected: str, chord: Chord | None, as_expected: bool
) -> None:
    assert played(expected, chord).as_expected() is as_expected


def test_a_play_is_not_over_before_it_has_begun() -> None:
    assert not Play(scenario=scenario("none")).as_expected()


@pytest.mark.parametrize(
    ("expected", "chord"), [("none", None), ("planned", replace(CHORD, state="planned"))]
)
def test_that_no_chord_appears_or_begins_shows_only_after_the_time_of_the_scenario(
    expected: str, chord: Chord | None
) -> None:
    play = Play(scenario=scenario(expected, seconds=60.0), chord=chord)
    play.start()

    assert not play.as_expected()


def test_a_chord_that_is_not_listed_is_asked_for() -> None:
    play = Play(scenario=scenario())
    play.start()

    play.follow({}, {CHORD.chord_id: CHORD}.get)

    assert play.chord == CHORD


def test_a_scenario_that_cannot_be_started_is_a_sentence_and_not_as_expected() -> None:
    play = Play(scenario=scenario(start=fails))
    play.start()

    assert not play.as_expected()
    assert play.complaint() == "example could not be started: RuntimeError: no broker."


def test_a_complaint_says_what_was_seen_instead() -> None:
    assert played("done", CHORD).complaint() == (
        f"example was to come to 'done' and is: chord {CHORD.chord_id} open, ok."
    )


def test_the_summary_names_chord_expectation_health_and_state() -> None:
    assert played("open", CHORD).summary() == {
        "chord_id": CHORD.chord_id,
        "expected": "open",
        "health": "ok",
        "state": "open",
    }


def test_the_summary_of_what_has_no_chord_says_none() -> None:
    assert played("none", None).summary() == {
        "chord_id": None,
        "expected": "none",
        "health": "none",
        "state": "none",
    }


def test_a_chord_in_the_summary_is_json() -> None:
    assert json.loads(json.dumps(to_json(CHORD, header=True)))["chord_id"] == CHORD.chord_id


def test_long_scenarios_start_first_and_faults_last() -> None:
    order = [play.scenario for play in plays_of(SCENARIOS.values())]

    assert order[0].name == "slow"
    assert [one.is_fault for one in order] == sorted(one.is_fault for one in order)
    assert len(order) == len(SCENARIOS)


def test_the_tour_has_more_patience_than_its_longest_scenario_needs() -> None:
    assert patience_seconds([Play(scenario=scenario(seconds=33.0))]) > 60.0
    assert patience_seconds([]) > 0.0


def printed(chord: Chord) -> str:
    output = StringIO()
    Console(file=output, width=140).print(table_of([chord], {chord.chord_id: "example"}))
    return output.getvalue()


def test_the_table_shows_the_progress_of_a_chord() -> None:
    text = printed(CHORD)

    assert "example" in text
    assert "1 of 3" in text
    assert "shapes.total" in text


def test_the_table_shows_names_literally() -> None:
    assert "[red]x[/red]" in printed(replace(CHORD, callback=Callback(name="[red]x[/red]")))


@pytest.mark.parametrize(
    ("chord", "part"),
    [
        (replace(CHORD, size=4), 0.25),
        (replace(CHORD, size=None), 0.0),
        (replace(CHORD, counted=3, size=None, state="succeeded", health="done"), 1.0),
        (replace(CHORD, counted=9), 1.0),
    ],
)
def test_the_bar_fills_as_far_as_is_known(chord: Chord, part: float) -> None:
    assert fraction(chord) == part


def test_without_a_terminal_a_change_is_a_line_and_nothing_is_said_twice() -> None:
    output = StringIO()
    screen = Screen(Console(file=output, width=140))
    for chord in (CHORD, CHORD, replace(CHORD, counted=2)):
        screen.show([chord], [played("done", chord)])
    screen.close()

    lines = output.getvalue().splitlines()
    assert [line.split("s  ", 1)[1] for line in lines] == [
        "example                     1 of 3  ok",
        "example                     2 of 3  ok",
    ]
