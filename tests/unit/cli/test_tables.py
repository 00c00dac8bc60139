from __future__ import annotations

import pytest

from chordwatch.cli.tables import chord_table, idle
from tests.unit.cli.rendered import NAMES, hostile, sighting, text_of, verdict, with_verdicts
from tests.unit.seen import NOW, open_chord


def test_a_chord_is_one_line_and_why_it_waits_another() -> None:
    seen = with_verdicts(sighting(health="hung"), verdict())

    title, line, reason = text_of(chord_table([seen], NOW)).splitlines()

    assert title.split() == ["CHORD", "HEALTH", "DONE", "IDLE", "CALLBACK"]
    assert line.split() == ["group", "hung", "1", "of", "2", "1", "min", "zoo.collect", "━━━╌╌╌"]
    assert reason.strip() == "1 task of the header waits in queue nobody, which no worker reads (not certain)"


def test_without_chords_there_is_a_title_only() -> None:
    assert len(text_of(chord_table([], NOW)).splitlines()) == 1


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_foreign_names_are_literal_and_short(name: str) -> None:
    text = text_of(chord_table([hostile(name)], NOW), width=10_000)

    assert text.encode()
    assert len(text.splitlines()) == 3
    assert len(text) < 600
    assert text.count(name[:30].splitlines()[0]) >= 3
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_bar_that_does_not_fit_is_left_out_and_nothing_of_the_line() -> None:
    table = chord_table([sighting(size=2, counted=1)], NOW)
    _, whole, *_ = text_of(table, 200).splitlines()
    _, fits, *_ = text_of(table, len(whole)).splitlines()
    _, cut, *_ = text_of(table, len(whole) - 1).splitlines()

    assert whole.endswith("━━━╌╌╌")
    assert fits == whole
    assert cut == whole.removesuffix("━━━╌╌╌").rstrip()


@pytest.mark.parametrize("width", [200, 40])
def test_a_line_is_cut_to_the_terminal(width: int) -> None:
    lines = text_of(chord_table([hostile("x" * 200)], NOW), width).splitlines()

    assert max(map(len, lines)) <= width


def test_a_chord_that_counted_too_much_has_a_full_bar() -> None:
    assert "━━━━━━" in text_of(chord_table([sighting(size=2, counted=5)], NOW))


def test_an_open_chord_is_idle_since_its_progress_and_a_finished_one_since_its_end() -> None:
    assert idle(open_chord(), NOW) == "1 min"
    assert idle(open_chord(state="succeeded", finished_at=NOW - 5), NOW) == "5 s"
    assert idle(open_chord(progressed_at=None), NOW) == "?"
