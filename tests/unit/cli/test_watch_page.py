"""The page of the live view, in every state that it can be in."""

from __future__ import annotations

import pytest

from chordwatch.cli.watch import Rates, _page
from chordwatch.evidence.facts import Place
from chordwatch.watch import Look, Sighting
from tests.unit.cli.rendered import NAMES, hostile, sighting, text_of, verdict, with_verdicts
from tests.unit.seen import NOW, open_chord


def look(*sightings: Sighting, at: float = NOW, gaps: tuple[str, ...] = ()) -> Look:
    return Look(taken_at=at, sightings=sightings, gaps=gaps)


def counted(number: int) -> Sighting:
    return Sighting(chord=open_chord(size=100, counted=number, missing=()))


def page(*sightings: Sighting, width: int = 80, rows: int = 10, gaps: tuple[str, ...] = ()) -> list[str]:
    return text_of(_page(look(*sightings, gaps=gaps), {"group": 12.5}, rows), width).splitlines()


def test_progress_is_a_bar_with_its_rate_and_where_it_runs() -> None:
    running = Sighting(
        chord=open_chord(size=4, counted=1), places={"h1": Place(kind="active", name="w1@zoo")}
    )

    line, below = page(running)[-2:]

    assert line.split() == ["group", "ok", "1", "of", "4", "1", "min", "zoo.collect"]
    assert below == "  " + "━" * 5 + "╌" * 15 + " 12.5/s 1 running on w1@zoo, 2 not located"


def test_a_chord_that_is_ill_says_why() -> None:
    below = page(with_verdicts(sighting(health="hung"), verdict()), width=200)[-1]

    assert "1 task of the header waits in queue nobody, which no worker reads (not certain)" in below


def test_without_chords_the_page_says_so() -> None:
    assert page()[0].startswith("0 open chords at ")


def test_many_chords_are_cut_and_counted() -> None:
    lines = page(*(sighting() for _ in range(5000)), rows=3)

    assert lines[0].startswith("5,000 open chords at ")
    assert lines[-1] == "… and 4,997 more"


def test_what_was_not_seen_is_said() -> None:
    assert page(sighting(), gaps=("The store is away.",))[-1] == "The store is away."


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_hostile_names_stay_on_their_lines(name: str, width: int) -> None:
    lines = page(hostile(name), width=width)

    assert len(lines) == 5
    assert max(map(len, lines)) <= width
    assert "\x1b" not in "".join(lines)


def test_the_rate_is_that_of_the_last_looks() -> None:
    rates = Rates()

    assert rates.update(look(counted(10), at=NOW)) == {}
    assert rates.update(look(counted(30), at=NOW + 2)) == {"group": 10.0}
    assert rates.update(look(counted(30), at=NOW + 4)) == {"group": 5.0}
    for step in range(6, 20, 2):
        last = rates.update(look(counted(30), at=NOW + step))
    assert last == {"group": 0.0}


def test_a_new_chord_has_no_rate_yet() -> None:
    rates = Rates()
    rates.update(look(at=NOW))

    assert rates.update(look(counted(5), at=NOW + 2)) == {}
