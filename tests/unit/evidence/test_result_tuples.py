from __future__ import annotations

import pytest
from celery.result import AsyncResult, GroupResult

from chordwatch.evidence import result_tuples
from chordwatch.evidence.facts import Launch
from tests.unit.canvases import app

#: The GroupResult of `chord([chain(a, group(b, c)), d], body)`, as Celery 5.7 stores it.
COMPLEX = [
    ["group", None],
    [[["inner", [["a", None], None]], [[["b", None], None], [["c", None], None]]], [["d", None], None]],
]


def test_the_members_of_a_complex_header_are_its_leaves_in_order() -> None:
    assert list(result_tuples.leaves([COMPLEX])) == ["b", "c", "d"]


def test_what_celery_makes_of_results_is_read() -> None:
    members = [AsyncResult(id_, app=app) for id_ in ("a", "b")]
    stored = GroupResult("group", members, app=app).as_tuple()

    as_json = [list(stored[0]), [[list(own), children] for own, children in stored[1]]]

    assert list(result_tuples.leaves([as_json])) == ["a", "b"]
    assert list(result_tuples.launches([as_json])) == [Launch(group_id="group", task_ids=("a", "b"))]


def test_a_task_among_the_children_is_no_launch() -> None:
    assert list(result_tuples.launches([[["a", None], None], COMPLEX])) == [
        Launch(group_id="group", task_ids=("b", "c", "d"))
    ]


def test_the_groups_inside_a_complex_header_are_known_by_their_ids() -> None:
    assert list(result_tuples.inner_groups([COMPLEX])) == ["inner"]


@pytest.mark.parametrize(
    "hostile", [None, "a", 7, [], [1], [[]], [[], []], [[None, None], None], [1, 2, 3], {"a": 1}]
)
def test_what_is_no_result_has_no_leaves(hostile: object) -> None:
    assert list(result_tuples.leaves([hostile])) == []
    assert list(result_tuples.launches([hostile])) == []


def test_a_deep_tree_is_walked_without_recursion() -> None:
    tree: list[object] = [["leaf", None], None]
    for level in range(50_000):
        tree = [[f"group-{level}", None], [tree]]

    assert list(result_tuples.leaves([tree])) == ["leaf"]


def test_a_tree_that_contains_itself_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_tuples, "MAX_NODES", 1000)
    ring: list[object] = [["group", None], []]
    ring[1].append(ring)  # type: ignore[attr-defined]  # built here
    ring[1].append([["leaf", None], None])  # type: ignore[attr-defined]  # built here

    assert len(list(result_tuples.leaves([ring]))) < 1000
