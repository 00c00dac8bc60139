from __future__ import annotations

from dataclasses import dataclass, replace

from chordwatch.evidence.facts import ChordEvidence
from chordwatch.model import Callback, Chord, MissingPart
from chordwatch.recording.signatures import Body, EmbeddedPart
from chordwatch.store.protocol import RecordedChord
from chordwatch.watch import Sighting
from chordwatch.watch.inner import MAX_INNER, inner_first, with_inner
from chordwatch.watch.survey import Survey
from tests.unit.seen import evidence, keys, message, open_chord


@dataclass(frozen=True)
class Seen:
    """A chord as a look saw it."""

    sighting: Sighting


def nested(number: int, **fields: object) -> Chord:
    """Return chord `cN`, which waits for the callback of chord `cN+1`."""
    return open_chord(
        chord_id=f"c{number}",
        callback=Callback(task_id=f"b{number}"),
        missing=(MissingPart(index=1, task_id=f"b{number + 1}"), MissingPart(index=2)),
        **fields,
    )


def met(
    chord_id: str, *others: Chord, survey: Survey | None = None, first: ChordEvidence | None = None
) -> list[str]:
    """Return the ids of the chords that are looked at with one, which is recorded if it is among the others."""
    known = {chord.chord_id: RecordedChord(chord=chord) for chord in others}

    def read(wanted: str, recorded: RecordedChord | None) -> ChordEvidence:
        assert recorded is known.get(wanted)
        return evidence(keys(chord_id=wanted))

    outer = (first or evidence(keys(chord_id=chord_id)), known.get(chord_id))
    found = with_inner(outer, known.values(), survey or Survey(), read)
    assert found[0] == outer
    return [each.keys.chord_id for each, _ in found[1:] if each]


def order(*chords: Chord) -> list[str]:
    return [each.sighting.chord.chord_id for each in inner_first([Seen(Sighting(chord=c)) for c in chords])]


def test_recorded_chords_are_followed_inwards() -> None:
    assert met("c0", nested(0), nested(1), nested(2), nested(7)) == ["c1", "c2"]


def test_a_finished_chord_and_a_ring_are_not_followed() -> None:
    ring = replace(nested(1), missing=(MissingPart(index=0, task_id="b0"),))

    assert met("c0", nested(0), nested(1, state="failed"), nested(2)) == []
    assert met("c0", nested(0), ring) == ["c1"]


def test_only_so_many_are_looked_at() -> None:
    assert len(met("c0", *(nested(number) for number in range(50)))) == MAX_INNER


def test_a_waiting_message_tells_the_chord_that_it_belongs_to() -> None:
    inner = Body(task_id="b1", name="zoo.collect", task_ids=("b1",))
    carrier = message(0, task_id="carrier", group_id="c1", body=inner)
    part = EmbeddedPart(
        chord_id="c0",
        task_id="b1",
        index=1,
        name=None,
        body=Body(task_id="b0", name=None),
        carrier_id="carrier",
    )
    outer = evidence(keys(chord_id="c0"), carried={"b1": part})
    step = replace(part, task_id="later")  # of a chain: its carrier's callback is another

    assert met("c0", survey=Survey(waiting={"carrier": carrier}), first=outer) == ["c1"]
    assert met("c0", survey=Survey(), first=outer) == []
    within = replace(
        outer, carried={"b1": replace(part, behind="c2")}
    )  # in the callback of one inside of that
    assert met("c0", survey=Survey(waiting={"carrier": carrier}), first=within) == ["c2"]
    chained = replace(outer, carried={"later": step})
    assert met("c0", survey=Survey(waiting={"carrier": carrier}), first=chained) == []


def test_inner_chords_are_judged_before_those_around_them() -> None:
    alone = open_chord(chord_id="alone")

    assert order(nested(0), alone, nested(2), nested(1)) == ["c2", "c1", "c0", "alone"]


def test_a_ring_of_chords_comes_to_an_end() -> None:
    ring = replace(nested(1), missing=(MissingPart(index=0, task_id="b0"),))

    assert sorted(order(nested(0), ring)) == ["c0", "c1"]
