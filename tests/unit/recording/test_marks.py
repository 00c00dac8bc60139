from __future__ import annotations

from typing import Any

import pytest

from chordwatch.recording.marks import MARK, Mark, handed_on, mark, read_marks

NOTHING: dict[str, Any] = {"chord": None, "chain": None}


def task(task_id: str, **options: Any) -> dict[str, Any]:
    return {
        "task": "shop.task",
        "subtask_type": None,
        "kwargs": {},
        "options": {"task_id": task_id, **options},
    }


def chord(body: dict[str, Any], *header: dict[str, Any]) -> dict[str, Any]:
    kwargs = {"header": {"kwargs": {"tasks": list(header)}}, "body": body}
    return {"task": "celery.chord", "subtask_type": "chord", "kwargs": kwargs, "options": {}}


def steps(*tasks: dict[str, Any]) -> dict[str, Any]:
    return {"task": "celery.chain", "subtask_type": "chain", "kwargs": {"tasks": list(tasks)}, "options": {}}


@pytest.mark.parametrize("marks", [[("g", 0)], [("g", 1)], [("outer", 2), ("inner", 0)]])
def test_marks_are_read_as_they_were_written(marks: list[Mark]) -> None:
    headers: dict[str, Any] = {}

    mark(headers, marks)

    assert read_marks(headers) == marks


def test_a_plain_callbacks_mark_is_its_chords_id_and_no_mark_is_no_header() -> None:
    headers: dict[str, Any] = {}

    mark(headers, [])
    assert headers == {}
    mark(headers, [("g", 0)])
    assert headers == {MARK: "g"}


@pytest.mark.parametrize(
    ("published", "embed", "running", "callbacks", "expected"),
    [
        ("cb", NOTHING, {"group": "g"}, {"cb": 0}, [("g", 0)]),
        ("else", NOTHING, {"group": "g"}, {"cb": 0}, []),
        ("cb", NOTHING, {"group": "g"}, {"cb": 1}, [("g", 1)]),  # the callback is a chord
        # The end of a chord that is the callback of another ends both.
        ("cb", NOTHING, {"group": "inner", MARK: [["outer", 1]]}, {"cb": 0}, [("outer", 0), ("inner", 0)]),
        # A callback that is a part of another chord has done its own chord's work.
        ("cb", NOTHING, {"group": "outer", MARK: "inner"}, {"cb": 0}, [("outer", 0)]),
        (  # a part that is added to the header of a chord that is a callback; another mark is the running task's own
            "added",
            {"chord": task("cb"), "chain": None},
            {"group": "inner", "chord": task("cb"), "id": "t1", MARK: [["outer", 1], ["done", 0]]},
            {"cb": 0},
            [("outer", 1)],
        ),
        ("t1", NOTHING, {MARK: "g"}, {}, [("g", 0)]),  # a retry
        ("next", NOTHING, {MARK: "g", "chain": [task("last"), task("next")]}, {}, [("g", 0)]),
        ("part", NOTHING, {MARK: "g", "chain": [chord(task("cb"), task("part"))]}, {}, [("g", 1)]),
        # What replaces a callback: a chord whose callback takes the id over, and a chain that ends in it.
        ("part", {"chord": task("t1"), "chain": None}, {MARK: "g"}, {}, [("g", 1)]),
        ("part", {"chord": steps(task("t1"), task("t2")), "chain": None}, {MARK: "g"}, {}, [("g", 1)]),
        ("first", {"chord": None, "chain": [task("t1"), task("second")]}, {MARK: "g"}, {}, [("g", 0)]),
        ("else", NOTHING, {MARK: "g"}, {}, []),
    ],
)
def test_a_running_task_hands_on_whose_callback_it_is(
    published: str,
    embed: dict[str, Any],
    running: dict[str, Any],
    callbacks: dict[str, int],
    expected: list[Mark],
) -> None:
    assert handed_on(published, embed, {"id": "t1", **running}, callbacks) == expected
