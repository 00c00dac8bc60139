from __future__ import annotations

import json
import pickle

import msgpack
import pytest

from chordwatch.evidence.backend_parts import error_of, read_entry, score_index
from chordwatch.evidence.budget import Gaps
from chordwatch.evidence.decode import MAX_BYTES
from chordwatch.model import ERROR_LENGTH


def test_a_part_is_read_as_recorded() -> None:
    assert read_entry(b'[1, "h0", "SUCCESS", 2]', Gaps()) == (1, "h0", "SUCCESS", 2)


def test_a_part_in_msgpack_is_read() -> None:
    assert read_entry(msgpack.packb([1, "h0", "SUCCESS", b"\xff"]), Gaps()) == (1, "h0", "SUCCESS", b"\xff")


def test_a_part_is_read_from_a_client_that_decodes() -> None:
    assert read_entry('[1, "h0", "SUCCESS", "é"]', Gaps()) == (1, "h0", "SUCCESS", "é")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"{}", "foreign entry among the counted parts"),
        (b"[]", "foreign entry among the counted parts"),
        (b'[1, "h0", "SUCCESS"]', "foreign entry among the counted parts"),
        (b'[1, 7, "SUCCESS", 2]', "foreign entry among the counted parts"),
        (b'[1, "h0", null, 2]', "foreign entry among the counted parts"),
        (b'[1, "", "SUCCESS", 2]', "foreign entry among the counted parts"),
        (b'[1, "h0", ', "damaged payload among the counted parts"),
        (b"hello", "payload in an unknown format among the counted parts"),
        (pickle.dumps([1, "h0", "SUCCESS", 2]), "pickled payload among the counted parts"),
        (b" " * (MAX_BYTES + 1), "part with an oversized result"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_no_part_is_skipped_and_counted(value: bytes, why: str) -> None:
    gaps = Gaps()

    assert read_entry(value, gaps) is None
    assert gaps.lines() == (f"Skipped 1 × {why}.",)


@pytest.mark.parametrize(
    ("stored", "error"),
    [
        (
            {"exc_type": "ValueError", "exc_message": ["header boom"]},
            ("ValueError", "ValueError: header boom"),
        ),
        ({"exc_type": "E", "exc_message": ["a", 2]}, ("E", "E: a, 2")),
        ({"exc_type": "E", "exc_message": "text"}, ("E", "E: text")),
        ({"exc_type": "E", "exc_message": []}, ("E", "E")),
        ({"exc_type": "NotRegistered", "exc_message": [None]}, ("NotRegistered", "NotRegistered: None")),
        ({"exc_type": "E"}, ("E", "E")),
        ({"exc_type": None}, (None, None)),
        ({"exc_type": 5, "exc_message": ["x"]}, (None, None)),
        ("ValueError('x')", (None, None)),
        (None, (None, None)),
    ],
)
def test_an_error_is_its_type_and_its_text(stored: object, error: tuple[str | None, str | None]) -> None:
    assert error_of(stored) == error


def test_a_long_error_is_cut() -> None:
    kind, text = error_of({"exc_type": "ValueError", "exc_message": ["x" * 10_000]})

    assert kind == "ValueError"
    assert text is not None
    assert len(text) == ERROR_LENGTH


def test_an_error_of_a_hostile_type_is_cut_as_well() -> None:
    kind, _ = error_of({"exc_type": "E" * 10_000})

    assert kind is not None
    assert len(kind) <= ERROR_LENGTH


def test_an_error_that_is_nested_deeply_is_read_as_far_as_it_goes() -> None:
    stored = json.loads('{"exc_type": "E", "exc_message": ' + "[" * 600 + "]" * 600 + "}")

    assert error_of(stored)[0] == "E"


@pytest.mark.parametrize(
    ("score", "index"),
    [(0.0, 0), (7.0, 7), (float("inf"), None), (float("-inf"), None), (float("nan"), None)],
)
def test_a_score_is_an_index_unless_celery_had_none(score: float, index: int | None) -> None:
    assert score_index(score) == index
