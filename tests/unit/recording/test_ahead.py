from __future__ import annotations

from typing import Any

from celery import chain, chord, group

from chordwatch.recording.ahead import look_ahead
from chordwatch.recording.records import Kind
from chordwatch.recording.signatures import planned_chords
from tests.unit.canvases import add, body_of, collect, publish, report


def carried(canvas: Any) -> tuple[Any, str, dict[str, Any]]:
    """Send a canvas; return its result, its first message's task id, and what that message embeds."""
    result, messages = publish(canvas)
    return result, messages[0]["headers"]["id"], body_of(messages[0])[2]


def test_a_chord_ahead_in_a_chain_is_known_with_its_ids() -> None:
    result, _, embed = carried(chain(add.s(1, 1), group(add.s(2), add.s(3)), collect.s()))

    (planned,) = planned_chords(embed)

    assert planned.chord_id == result.parent.id
    assert [part.task_id for part in planned.parts] == [child.id for child in result.parent.children]
    assert [(part.index, part.name) for part in planned.parts] == [(0, "project.add"), (1, "project.add")]
    assert planned.body["options"]["task_id"] == result.id


def test_of_a_chain_in_a_planned_header_the_last_step_is_the_part() -> None:
    _, _, embed = carried(chain(add.s(1, 1), chord([chain(add.s(2), add.s(3)), add.s(4)], collect.s())))

    (planned,) = planned_chords(embed)

    inner = embed["chain"][0]["kwargs"]["header"]["kwargs"]["tasks"][0]["kwargs"]["tasks"]
    assert planned.parts[0].task_id == inner[-1]["options"]["task_id"]
    assert [part.index for part in planned.parts] == [0, 1]


def test_a_planned_chord_is_told_with_its_callback_and_expected_parts() -> None:
    result, carrier, embed = carried(chain(add.s(1, 1), group(add.s(2), add.s(3)), collect.s()))

    facts, *expected = look_ahead(embed, carrier)

    assert facts[0] == result.parent.id
    assert facts[1]["l"] == 1
    assert facts[1]["c"][1] == "project.collect"
    assert [entry[2] for entry in expected] == [int(Kind.EXPECTED)] * 2


def test_a_later_step_of_a_chain_in_a_header_is_an_expected_part_of_a_chord_that_is_not_planned() -> None:
    result, carrier, embed = carried(chord([chain(add.s(1, 1), add.s(2)), add.s(3, 3)], collect.s()))

    facts, expected = look_ahead(embed, carrier)

    assert facts[0] == expected[0] == result.parent.id
    assert "l" not in facts[1]
    assert expected[4] == result.parent.children[0].id
    assert expected[5] == 0


def test_a_plain_chain_holds_nothing() -> None:
    _, carrier, embed = carried(chain(add.s(1, 1), report.s(), collect.s()))

    assert not list(look_ahead(embed, carrier))


def test_the_callback_of_a_chord_in_another_chords_header_is_an_expected_part_of_that_chord() -> None:
    inner = chord([add.s(1, 1), add.s(2, 2)], report.s())
    result, carrier, embed = carried(chord([inner, add.s(3, 3)], collect.s()))

    facts, expected = look_ahead(embed, carrier)

    assert facts[0] == expected[0] == result.parent.id
    assert expected[4] == result.parent.children[0].id
    assert expected[8:] == (expected[8], "project.report", None)
