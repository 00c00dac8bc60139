from __future__ import annotations

from typing import Any

import pytest

from chordwatch.recording.marks import MARK
from chordwatch.recording.notes import Run, parts_failing_with, parts_of, parts_of_unreadable
from chordwatch.recording.records import Kind, Role

HEADER, CALLBACK = int(Role.HEADER), int(Role.CALLBACK)
OUTER = {"task": "shop.report", "options": {"task_id": "outer-cb", "group_id": "outer"}}
INNER = {"task": "shop.total", "options": {"task_id": "inner-cb", "group_id": "inner"}}
STEP = {"task": "shop.next", "options": {"task_id": "later"}}


def seen(headers: dict[str, Any], chord: Any = None, chain: Any = None) -> list[tuple[str, int, bool]]:
    return [(head[0], who[0], last) for head, who, last in parts_of({"id": "t1", **headers}, chord, chain)]


@pytest.mark.parametrize(
    ("headers", "chord", "chain", "expected"),
    [
        ({}, None, None, []),
        ({"group": "g", "group_index": 0}, None, None, []),  # a plain group
        ({"group": "outer", "group_index": 0}, OUTER, None, [("outer", HEADER, False)]),
        ({"group": "outer", MARK: "outer"}, None, None, [("outer", CALLBACK, True)]),
        ({MARK: "outer"}, None, None, [("outer", CALLBACK, True)]),  # up to Celery 5.5 it has no group
        ({MARK: "outer"}, None, [STEP], [("outer", CALLBACK, False)]),  # the first step of a chain
        ({"group": "outer", "group_index": 1, MARK: "outer"}, None, None, [("outer", CALLBACK, True)]),
        (  # the inner chord's callback is a part of the outer header
            {"group": "outer", "group_index": 0, MARK: "inner"},
            OUTER,
            None,
            [("outer", HEADER, False), ("inner", CALLBACK, True)],
        ),
        (  # the header of a chord that is itself the callback of `outer`, which its own callback will end
            {"group": "second", "group_index": 0, MARK: [["outer", 1]]},
            OUTER,
            None,
            [("second", HEADER, False), ("outer", CALLBACK, False)],
        ),
        (  # that callback: Celery gives it the group id of the chord it ends
            {"group": "outer", MARK: "second"},
            None,
            None,
            [("second", CALLBACK, True), ("outer", CALLBACK, True)],
        ),
    ],
)
def test_a_message_tells_what_its_task_is_to_which_chord(
    headers: dict[str, Any], chord: Any, chain: Any, expected: list[tuple[str, int, bool]]
) -> None:
    assert seen(headers, chord, chain) == expected


def test_a_group_without_index_may_be_somebody_elses_so_it_is_not_certain() -> None:
    ((head, _, _),) = parts_of({"id": "t1", "group": "g"}, None, None)

    assert head == ("g", False)


def test_of_an_unreadable_message_any_group_may_be_a_chords() -> None:
    assert parts_of_unreadable({"id": "t1"}) == []
    ((head, who, _),) = parts_of_unreadable({"id": "t1", "group": "g", "group_index": 3})
    assert head == ("g", False)
    assert who[:3] == (HEADER, "t1", 3)
    ((head, who, _),) = parts_of_unreadable({"id": "t1", MARK: "g"})
    assert (head, who[0]) == (("g", None), CALLBACK)


def test_a_task_is_told_with_its_attempt() -> None:
    headers = {"id": "t1", "group": "inner", "group_index": 7, "retries": 2, "replaced_task_nesting": 1}

    ((head, who, _),) = parts_of(headers, INNER, None)

    assert head == ("inner", INNER)
    assert who == (HEADER, "t1", 7, 2, 1)


def test_a_run_announces_itself_for_each_chord_it_belongs_to() -> None:
    parts = parts_of({"id": "t1", "group": "outer", "group_index": 0, MARK: "inner"}, OUTER, None)
    run = Run(12.5, parts, "shop.total", "celery")

    entries = run.announce()

    assert run.announced
    assert [(entry[0], entry[2], entry[8:]) for entry in entries] == [
        ("outer", int(Kind.STARTED), (12.5, "shop.total", "celery")),
        ("inner", int(Kind.STARTED), (12.5, "shop.total", "celery")),
    ]


def test_a_part_that_ends_a_chain_fails_with_the_steps_before_it() -> None:
    last = {
        "task": "shop.next",
        "options": {"task_id": "part", "group_id": "outer", "group_index": 4, "chord": OUTER},
    }
    inner = {"task": "celery.chord", "subtask_type": "chord", "options": {}, "kwargs": {"body": last}}

    for chain in ([STEP, last], [inner]):
        (((head, who, _), name),) = parts_failing_with(chain)
        assert head == ("outer", OUTER)
        assert who == (HEADER, "part", 4, 0, 0)
        assert name == "shop.next"
    assert parts_failing_with([STEP]) == []
    assert parts_failing_with(None) == []
