from __future__ import annotations

from typing import Any

from chordwatch.evidence.facts import Place, PlaceKind
from chordwatch.model import Callback, MissingPart
from chordwatch.watch import Sighting
from chordwatch.watch.absences import Absences, nameless
from tests.unit.seen import NOW, header_task, open_chord


def at(kind: PlaceKind, **fields: Any) -> list[Sighting]:
    return [Sighting(chord=open_chord(**fields), places={"h1": Place(kind=kind)})]


def test_one_look_proves_nothing_and_two_that_agree_do() -> None:
    absences = Absences()

    assert absences.update(at("nowhere"), NOW) == {}
    assert absences.update(at("nowhere"), NOW + 1) == {"h1": NOW}


def test_two_looks_at_once_are_one() -> None:
    absences = Absences()
    absences.update(at("nowhere"), NOW)

    assert absences.update(at("nowhere"), NOW + 0.1) == {}


def test_what_is_found_again_was_not_lost() -> None:
    absences = Absences()
    absences.update(at("nowhere"), NOW)
    absences.update(at("nowhere"), NOW + 1)

    assert absences.update(at("active"), NOW + 2) == {}
    assert absences.update(at("nowhere"), NOW + 3) == {}


def test_what_has_moved_on_meanwhile_was_not_lost() -> None:
    absences = Absences()
    absences.update(at("nowhere"), NOW)
    further = (header_task(1, state="started", attempt=0),)

    assert absences.update(at("nowhere", header=further), NOW + 1) == {}
    assert absences.update(at("nowhere", header=further), NOW + 2) == {"h1": NOW + 1}


def test_a_look_that_could_not_tell_neither_confirms_nor_forgets() -> None:
    absences = Absences()
    absences.update(at("nowhere"), NOW)

    assert absences.update(at("unknown"), NOW + 1) == {}
    assert absences.update(at("nowhere"), NOW + 2) == {"h1": NOW}


def test_parts_without_a_known_id_are_remembered_by_their_chord() -> None:
    absences = Absences()
    chord = open_chord(
        missing=(MissingPart(index=1),), header=(header_task(0, counted=True, state="succeeded"),)
    )
    seen = [Sighting(chord=chord, nameless="nowhere")]
    absences.update(seen, NOW)

    assert absences.update(seen, NOW + 1) == {nameless("group"): NOW}


def test_what_nobody_waits_for_any_more_is_forgotten() -> None:
    absences = Absences()
    absences.update(at("nowhere"), NOW)
    absences.keep(set())

    assert absences.update(at("nowhere"), NOW + 1) == {}


def test_only_what_is_missed_for_the_first_time_wants_another_look_soon() -> None:
    absences = Absences()
    wanted = []
    for number, kind in enumerate(("active", "nowhere", "nowhere", "unknown", "nowhere")):
        absences.update(at(kind), NOW + number)
        wanted.append(absences.undecided)

    assert wanted == [False, True, False, False, False]


def test_a_callback_without_a_known_id_is_remembered_by_its_chord() -> None:
    chord = open_chord(missing=(), counted=2, callback=Callback(name="zoo.collect"))
    for complete, expected in ((False, {}), (True, {nameless("group"): NOW})):
        absences = Absences()
        sightings = [Sighting(chord=chord, complete=complete, nameless="nowhere")]
        absences.update(sightings, NOW)

        assert absences.update(sightings, NOW + 1) == expected
