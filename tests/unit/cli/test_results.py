from __future__ import annotations

import json
from typing import Any

import pytest

from chordwatch.cli import session
from chordwatch.cli.results import _table, result_rows
from chordwatch.model import Chord, MissingPart
from tests.unit.cli.rendered import NAMES, text_of
from tests.unit.seen import header_task, open_chord

CHORD = open_chord(
    size=4,
    header=(
        header_task(0, counted=True, state="succeeded"),
        header_task(2, counted=True, state="failed"),
        header_task(3, counted=True, state="succeeded"),
    ),
    missing=(MissingPart(index=1, task_id="h1", name="zoo.add"),),
)


class FakeWatch:
    """Stored parts and single results."""

    def __init__(self, parts: dict[str, Any], single: dict[str, Any]) -> None:
        self._parts, self._single = parts, single

    def results(self, _: str) -> tuple[dict[str, Any], ...]:
        """Return the parts that are still kept together."""
        return tuple({"task_id": task_id, "result": result} for task_id, result in self._parts.items())

    def result(self, task_id: str) -> object:
        """Return one task's own result."""
        return self._single.get(task_id)


def rows(chord: Chord = CHORD, **single: Any) -> list[dict[str, Any]]:
    return result_rows(chord, FakeWatch({"h0": 1, "h2": None}, {"h2": "not asked", **single}))  # type: ignore[arg-type]  # a fake


def test_the_results_stand_in_header_order_with_the_gap_in_its_place() -> None:
    assert [(row["index"], row["state"], row["result"]) for row in rows(h3=9)] == [
        (0, "succeeded", 1),
        (1, "missing", None),
        (2, "failed", None),
        (3, "succeeded", 9),
    ]


def test_a_row_has_the_same_keys_whether_it_is_missing_or_not() -> None:
    assert {tuple(row) for row in rows()} == {("index", "task_id", "name", "state", "result")}


def test_parts_without_an_index_come_last() -> None:
    chord = open_chord(
        header=(header_task(0, index=None, counted=True), header_task(1, counted=True)),
        missing=(MissingPart(index=None),),
    )

    assert [row["index"] for row in rows(chord)] == [1, None, None]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_foreign_results_are_literal_and_short(name: str) -> None:
    chord = open_chord(header=(header_task(3, task_id=name, counted=True),), missing=())

    text = text_of(_table(rows(chord, **{name: {name: name}})), width=1000)

    assert text.encode()
    assert len(text.splitlines()) == 2
    assert len(text) < 1200
    assert "\x1b" not in text


@pytest.mark.parametrize("result", [b"\xff\x00", {b"key": 1}, {"nested": [b"bytes"]}, float("nan")], ids=repr)
def test_results_that_json_has_no_word_for_are_shown_all_the_same(
    result: object, capsys: pytest.CaptureFixture[str]
) -> None:
    made = rows(h3=result)

    session.print_json(made)

    def refused(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(capsys.readouterr().out, parse_constant=refused)[3]["state"] == "succeeded"
    assert text_of(_table(made))


def test_a_result_that_is_nested_without_end_is_shown_as_deep_as_it_goes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ring: list[object] = []
    ring.append(ring)

    session.print_json(rows(h3=ring))

    assert json.loads(capsys.readouterr().out)[3]["state"] == "succeeded"


def test_json_that_cannot_be_encoded_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    session.print_json(["\ud800", "größe"])

    assert json.loads(capsys.readouterr().out) == ["\ud800", "größe"]


def test_what_was_not_seen_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    session.print_gaps(("Time ran out.",))

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "Note: Time ran out.\n")
