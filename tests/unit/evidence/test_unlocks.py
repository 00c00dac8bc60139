from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from chordwatch.evidence.budget import Gaps
from chordwatch.evidence.messages import MessageReader

CALLBACK = {
    "task": "zoo.collect",
    "args": [],
    "kwargs": {},
    "options": {"task_id": "body", "group_id": "group"},
    "subtask_type": None,
    "immutable": False,
}
RESULT = [[["h0", None], None], [["h1", None], None]]


def raw(
    args: Any = ("group", CALLBACK), kwargs: Any = None, *, name: str = "celery.chord_unlock", **headers: Any
) -> str:
    """Return a message as the Redis transport stores it."""
    body = [args, {"result": RESULT} if kwargs is None else kwargs, {"chord": None}]
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps(body).encode()).decode(),
            "headers": {"id": "unlock", "task": name, "group": None, **headers},
            "properties": {"body_encoding": "base64"},
            "content-type": "application/json",
        }
    )


def test_the_message_that_polls_tells_the_chord() -> None:
    reader = MessageReader(Gaps())

    reader.read(raw(retries=8, eta="2026-11-21T07:00:00+00:00"), "celery", unacked=True)

    found = reader.unlocks["group"]
    assert (found.task_id, found.queue, found.retries, found.unacked) == ("unlock", "celery", 8, True)
    assert found.header == ("h0", "h1")
    assert found.body
    assert (found.body.task_id, found.body.name) == ("body", "zoo.collect")
    assert found.eta == 1_795_244_400.0
    assert (found.interval, found.max_retries) == (None, None)


def test_interval_and_bound_are_taken_where_they_are_given() -> None:
    reader = MessageReader(Gaps())

    reader.read(raw(kwargs={"result": RESULT, "interval": 5, "max_retries": 10}), "celery")

    assert (reader.unlocks["group"].interval, reader.unlocks["group"].max_retries) == (5.0, 10)


@pytest.mark.parametrize("order", [(3, 4), (4, 3)])
def test_of_several_messages_the_last_poll_counts(order: tuple[int, int]) -> None:
    reader = MessageReader(Gaps())

    for retries in order:
        reader.read(raw(retries=retries), "celery")

    assert reader.unlocks["group"].retries == 4


@pytest.mark.parametrize(
    "message",
    [
        raw(name="zoo.chord_unlock"),
        raw(args=()),
        raw(args=(None, CALLBACK)),
        raw(args="group"),
        raw(args=([["group"]], CALLBACK)),
    ],
)
def test_what_polls_nothing_is_no_chord(message: str) -> None:
    reader = MessageReader(Gaps())

    reader.read(message, "celery")

    assert reader.unlocks == {}


@pytest.mark.parametrize("result", [None, "h0", [1, [2]], [[["h0", None], 5], {"a": 1}]])
def test_a_strange_header_is_read_as_far_as_it_makes_sense(result: Any) -> None:
    reader = MessageReader(Gaps())

    reader.read(raw(args=("group", "strange"), kwargs={"result": result, "interval": "x"}), "celery")

    found = reader.unlocks["group"]
    assert set(found.header) <= {"h0"}
    assert (found.body, found.interval) == (None, None)


def test_a_pickled_poll_is_counted_and_not_read() -> None:
    gaps = Gaps()
    reader = MessageReader(gaps)
    pickled = json.loads(raw())
    pickled["content-type"] = "application/x-python-serialize"

    reader.read(json.dumps(pickled), "celery")

    assert reader.unlocks == {}
    assert "pickled" in gaps.lines()[0]
