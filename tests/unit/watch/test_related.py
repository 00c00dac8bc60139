from __future__ import annotations

from typing import Any

import pytest

from chordwatch.model import Callback
from chordwatch.store.protocol import Judgement, RecordedChord
from chordwatch.watch.look import Sighting
from chordwatch.watch.related import MAX_RELATED, Related, related_to, with_judgement
from tests.unit.cli.rendered import verdict
from tests.unit.seen import NOW, header_task, open_chord


def own(carrier_id: str | None = None, **fields: Any) -> Sighting:
    return Sighting(chord=open_chord(**{"opened_at": NOW - 60, **fields}), carrier_id=carrier_id)


def other(chord_id: str = "other", carrier_id: str | None = None, **fields: Any) -> RecordedChord:
    usual = {"chord_id": chord_id, "callback": Callback(task_id=f"{chord_id} body"), "header": ()}
    return RecordedChord(chord=open_chord(**{**usual, **fields}), carrier_id=carrier_id)


def relations(sighting: Sighting, *others: RecordedChord) -> list[tuple[str, str]]:
    return [(each.relation, each.chord.chord_id) for each in related_to(sighting, others)]


@pytest.mark.parametrize(
    ("sighting", "chord", "relation"),
    [
        (own(), other(callback=Callback(task_id="h1")), "inside"),
        (own(), other(header=(header_task(0, task_id="body"),)), "around"),
        (own("a"), other(carrier_id="a", opened_at=NOW - 90), "before"),
        (own("a"), other(carrier_id="a", opened_at=NOW - 30), "after"),
        (own("a"), other(carrier_id="a", opened_at=None, state="planned"), "after"),
        (own("a", opened_at=None, state="planned"), other(carrier_id="a", opened_at=NOW), "before"),
        (own("a", opened_at=None), other(carrier_id="a", opened_at=None, state="planned"), "same chain"),
        (own(parent_id="other body"), other(), "before"),
        (own(parent_id="x"), other(header=(header_task(0, task_id="x"),)), "sender"),
        (own(), other(parent_id="body"), "after"),
        (own(), other(parent_id="h0"), "sent"),
        (own(root_id="r"), other(root_id="r"), "same root"),
    ],
)
def test_chords_that_belong_together_are_found(
    sighting: Sighting, chord: RecordedChord, relation: str
) -> None:
    assert relations(sighting, chord) == [(relation, "other")]


@pytest.mark.parametrize(
    "chord",
    [
        other(),
        other("group", root_id="r"),
        other(callback=Callback(), root_id=None, parent_id=None),
        other(carrier_id="somebody else"),
    ],
    ids=["unrelated", "itself", "nothing known", "another chain"],
)
def test_what_is_not_known_relates_to_nothing(chord: RecordedChord) -> None:
    assert relations(own("a", root_id="r", callback=Callback()), chord) == []
    assert relations(own(root_id=None, parent_id=None), other(callback=Callback())) == []


def test_the_nearest_come_first_and_a_chain_in_its_order() -> None:
    chords = (
        other("root", root_id="r"),
        other("later", carrier_id="a", opened_at=NOW - 10),
        other("sooner", carrier_id="a", opened_at=NOW - 20),
        other("inner", callback=Callback(task_id="h1")),
    )

    assert relations(own("a", root_id="r"), *chords) == [
        ("inside", "inner"),
        ("after", "sooner"),
        ("after", "later"),
        ("same root", "root"),
    ]


def test_very_many_are_bounded() -> None:
    many = (other(str(number), root_id="r") for number in range(MAX_RELATED + 50))

    assert len(related_to(own(root_id="r"), many)) == MAX_RELATED


def test_an_open_one_is_as_a_monitor_found_it_and_a_finished_one_as_it_ended() -> None:
    hung = Judgement(chord=open_chord(health="hung", verdicts=(verdict(),)), at=NOW)
    still_open = Related(relation="inside", chord=open_chord())
    done = Related(relation="inside", chord=open_chord(state="succeeded", health="done"))

    assert with_judgement(still_open, hung).chord.health == "hung"
    assert with_judgement(still_open, hung).chord.verdicts == (verdict(),)
    assert with_judgement(done, hung) is done
    assert with_judgement(still_open, None) is still_open
