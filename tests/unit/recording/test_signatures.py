from __future__ import annotations

from typing import Any

import pytest
from celery import chain, chord, group

from chordwatch.recording import signatures
from chordwatch.recording.signatures import MAX_SIGNATURES, chain_ids, embedded_parts, read_body
from tests.unit.canvases import add, alarm, body_of, collect, publish, report


def sent(header: list[Any], body: Any) -> tuple[Any, dict[str, Any]]:
    """Send a chord; return its result and what its first message embeds."""
    result, messages = publish(chord(header, body))
    return result, body_of(messages[0])[2]


def task(name: str, task_id: str, **options: Any) -> dict[str, Any]:
    return {"task": name, "options": {"task_id": task_id, **options}, "subtask_type": None}


def several(kind: str, tasks: list[Any]) -> dict[str, Any]:
    return {"task": f"celery.{kind}", "kwargs": {"tasks": tasks}, "options": {}, "subtask_type": kind}


def test_a_plain_callback_has_the_id_that_the_caller_holds() -> None:
    result, embed = sent([add.s(1, 1), add.s(2, 2)], collect.s().set(queue="low"))

    body = read_body(embed["chord"])

    assert body is not None
    assert (body.task_id, body.name, body.queue) == (result.id, "project.collect", "low")
    assert body.task_ids == (result.id,)


def test_a_chain_as_callback_is_named_after_its_first_step_and_known_by_its_last() -> None:
    result, embed = sent([add.s(1, 1)], chain(report.s().set(queue="low"), collect.s()))

    body = read_body(embed["chord"])

    assert body is not None
    assert (body.task_id, body.name, body.queue) == (result.id, "project.report", "low")
    assert len(body.task_ids) == 2
    assert body.task_ids[-1] == result.id


def test_a_group_as_callback_tells_the_ids_of_its_members() -> None:
    result, embed = sent([add.s(1, 1)], group(collect.s(), report.s()))

    body = read_body(embed["chord"])

    assert body is not None
    assert (body.task_id, body.name) == (result.id, "project.collect")
    assert body.task_ids == tuple(child.id for child in result.children)


def test_a_chord_as_callback_is_known_by_the_callback_that_ends_it() -> None:
    result, embed = sent([add.s(1, 1)], chord([report.s(), add.s(1)], collect.s()))

    body = read_body(embed["chord"])

    assert body is not None
    assert body.name == "project.report"
    assert body.task_id == result.id
    assert len(body.task_ids) == 3
    assert body.task_ids[-1] == result.id


def test_a_chord_whose_header_is_a_bare_list_is_walked_as_well() -> None:
    inner = {
        "task": "celery.chord",
        "kwargs": {"header": [task("a", "1"), task("b", "2")], "body": task("c", "3")},
        "options": {"task_id": "group"},
        "subtask_type": "chord",
    }

    body = read_body(inner)

    assert body is not None
    assert (body.name, body.task_id, body.task_ids) == ("a", "3", ("1", "2", "3"))


def test_an_inner_chord_carries_its_callback_as_a_part_of_the_outer_one() -> None:
    result, messages = publish(
        chord([chord([add.s(1, 1), add.s(2, 2)], report.s()), add.s(3, 3)], collect.s())
    )
    carrier = messages[0]["headers"]["id"]

    (part,) = embedded_parts(body_of(messages[0])[2], carrier)

    assert (part.name, part.index, part.carrier_id) == ("project.report", 0, carrier)
    assert part.body.task_id == result.id
    assert part.chord_id == messages[-1]["headers"]["group"]


def test_a_part_behind_an_inner_chord_tells_which() -> None:
    deep = chord([chord([chain(add.s(1, 1), add.s(1))], report.s()), add.s(2, 2)], report.s())
    _, messages = publish(chord([deep, add.s(3, 3)], collect.s()))
    groups = {message["headers"]["group"] for message in messages}

    # The step of the chain, the innermost callback, and the callback of the chord around that.
    step, innermost, middle = embedded_parts(body_of(messages[0])[2], "first")

    assert (step.behind, innermost.behind, middle.behind) == (None, step.chord_id, innermost.chord_id)
    assert {innermost.chord_id, middle.chord_id} <= groups
    assert len({step.chord_id, innermost.chord_id, middle.chord_id}) == 3


def test_a_step_after_an_inner_chord_is_not_its_callback() -> None:
    inner = chord([add.s(1, 1), add.s(2, 2)], report.s())
    _, messages = publish(chord([chain(inner, add.s(1)), add.s(3, 3)], collect.s()))

    (part,) = embedded_parts(body_of(messages[0])[2], "first")

    assert (part.name, part.behind) == ("project.add", None)


def test_a_chain_in_the_header_carries_the_step_that_is_counted() -> None:
    result, messages = publish(chord([chain(add.s(1, 1), add.s(1), report.s()), add.s(3, 3)], collect.s()))
    embed = body_of(messages[0])[2]

    (part,) = embedded_parts(embed, "first")

    assert (part.name, part.index, part.body.task_id) == ("project.report", 0, result.id)
    assert part.chord_id == messages[-1]["headers"]["group"]
    assert len(chain_ids(embed)) == 2
    assert part.task_id in chain_ids(embed)


def test_a_group_at_the_end_of_a_chain_in_the_header_carries_all_its_members() -> None:
    complex_header = [chain(add.s(1, 1), group(add.s(1), add.s(2))), add.s(3, 3)]
    result, messages = publish(chord(complex_header, collect.s()))

    parts = list(embedded_parts(body_of(messages[0])[2], "first"))

    assert [part.name for part in parts] == ["project.add", "project.add"]
    assert {part.body.task_id for part in parts} == {result.id}


def test_what_a_carried_step_carries_is_carried_along() -> None:
    deep = chord([chain(add.s(1, 1), add.s(1))], collect.s())
    _, messages = publish(chord([chain(deep, report.s()), add.s(3, 3)], collect.s()))
    embed = body_of(messages[0])[2]

    parts = list(embedded_parts(embed, "first"))

    assert sorted(part.name or "" for part in parts) == ["project.add", "project.report"]
    assert {part.carrier_id for part in parts} == {"first"}


def test_no_step_is_read_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(signatures, "_tasks", lambda root: opened.append(root) or iter([root]))

    assert (
        list(embedded_parts({"chain": None, "callbacks": [], "chord": {"task": "a", "options": {}}}, "first"))
        == []
    )
    assert opened == [{"task": "a", "options": {}}]


def test_a_plain_task_carries_nothing() -> None:
    _, messages = publish(add.s(1, 1))

    assert list(embedded_parts(body_of(messages[0])[2], "first")) == []
    assert chain_ids(body_of(messages[0])[2]) == ()


def test_errbacks_are_read_as_celery_writes_them() -> None:
    _, embed = sent([add.s(1, 1)], collect.s().on_error(alarm.s().set(task_id="alarm")))

    body = read_body(embed["chord"])

    assert body is not None
    assert body.errbacks == (("alarm", "project.alarm"),)


@pytest.mark.parametrize(
    ("linked", "errbacks"),
    [
        (task("alarm", "e1"), (("e1", "alarm"),)),
        ([task("alarm", "e1"), task("mail", "e2")], (("e1", "alarm"), ("e2", "mail"))),
        ([], ()),
        (None, ()),
        ("alarm", ()),
        ([None, 3, {"task": 5}], ((None, None),)),
    ],
)
def test_link_error_is_a_dict_or_a_list(linked: object, errbacks: tuple[object, ...]) -> None:
    body = read_body(task("collect", "body", link_error=linked))

    assert body is not None
    assert body.errbacks == errbacks


@pytest.mark.parametrize("signature", [None, "collect", 7, [], {}, [{}], {1: 2}])
def test_what_is_no_signature_is_no_callback(signature: object) -> None:
    assert read_body(signature) is None


@pytest.mark.parametrize(
    "signature",
    [
        {"task": 5, "options": "none", "kwargs": []},
        {"subtask_type": "chain", "kwargs": {"tasks": "abc"}},
        {"subtask_type": "group", "kwargs": {"tasks": [None, 3, []]}},
        {"subtask_type": "chord", "kwargs": {"header": 3, "body": 4}},
        {"subtask_type": ["chain"], "options": {"task_id": 7}},
    ],
)
def test_a_signature_of_wrong_types_is_read_as_far_as_it_goes(signature: dict[str, Any]) -> None:
    body = read_body(signature)

    assert body is not None
    assert (body.task_id, body.name, body.task_ids, body.errbacks) == (None, None, (), ())


def test_a_deeply_nested_signature_is_walked_without_recursion() -> None:
    signature = task("innermost", "deep")
    for _ in range(5000):
        signature = several("chain", [signature])

    body = read_body(signature)

    assert body is not None
    assert (body.name, body.task_ids) == ("innermost", ("deep",))


def test_a_nest_of_chords_is_followed_to_its_last_callback_and_not_for_ever() -> None:
    ring: dict[str, Any] = {"subtask_type": "chord", "kwargs": {}, "options": {"task_id": "ring"}}
    ring["kwargs"]["body"] = ring

    assert read_body(ring) is not None


def test_a_signature_that_contains_itself_comes_to_an_end() -> None:
    ring = several("group", [])
    ring["kwargs"]["tasks"] = [ring, ring]

    assert read_body(ring) is not None


def test_a_hundred_thousand_tasks_are_read_up_to_a_bound() -> None:
    body = read_body(several("group", [task("add", str(number)) for number in range(100_000)]))

    assert body is not None
    assert MAX_SIGNATURES - 2 < len(body.task_ids) <= MAX_SIGNATURES


@pytest.mark.parametrize("embed", [{}, {"chain": "x", "callbacks": 3, "chord": []}, {"chain": [None, [], 5]}])
def test_hostile_embeds_carry_nothing(embed: dict[str, Any]) -> None:
    assert list(embedded_parts(embed, "first")) == []
    assert chain_ids(embed) == ()
