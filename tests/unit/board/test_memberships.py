from __future__ import annotations

from collections.abc import Mapping

import pytest

from chordwatch.board.memberships import Memberships
from chordwatch.errors import UnreachableError
from chordwatch.store.protocol import Membership

MEMBER = Membership(chord_id="c1", role="header", index=2, callback="tasks.report")


class Asked:
    """A store that knows the tasks it was given, and remembers what it was asked."""

    def __init__(self, known: Mapping[str, Membership]) -> None:
        self.known, self.questions, self.now = dict(known), list[list[str]](), 1000.0
        self.error: Exception | None = None

    def memberships(self, task_ids: list[str]) -> Mapping[str, Membership]:
        """Answer with the tasks that are known."""
        self.questions.append(list(task_ids))
        if self.error:
            raise self.error
        return {task_id: self.known[task_id] for task_id in task_ids if task_id in self.known}

    def clock(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def store() -> Asked:
    return Asked({f"t{n}": MEMBER for n in range(100)})


@pytest.fixture
def memberships(store: Asked) -> Memberships:
    return Memberships(store.memberships, size=10, clock=store.clock)


def test_many_tasks_are_one_question_and_then_none(store: Asked, memberships: Memberships) -> None:
    assert memberships.of(["t1", "t2", "none", "t1"]) == {"t1": MEMBER, "t2": MEMBER}
    assert memberships.of(["t2", "none"]) == {"t2": MEMBER}
    assert memberships.of(["t2", "t3"]) == {"t2": MEMBER, "t3": MEMBER}
    assert store.questions == [["t1", "t2", "none"], ["t3"]]


def test_nothing_is_no_question(store: Asked, memberships: Memberships) -> None:
    assert memberships.of([]) == {}
    assert store.questions == []


def test_a_task_without_a_chord_is_soon_asked_for_again(store: Asked, memberships: Memberships) -> None:
    memberships.of(["late", "t1"])
    store.known["late"] = MEMBER
    store.now += 4
    assert memberships.of(["late", "t1"]) == {"late": MEMBER, "t1": MEMBER}
    assert store.questions[1:] == [["late"]]


def test_a_task_that_never_has_a_chord_is_asked_for_less_and_less(
    store: Asked, memberships: Memberships
) -> None:
    for _ in range(600):
        memberships.of(["alone"])
        store.now += 1
    # After 3, 6, 12, 24 and 48 seconds, and then every minute.
    assert len(store.questions) == 14


def test_what_is_known_is_asked_for_again_after_a_minute(store: Asked, memberships: Memberships) -> None:
    memberships.of(["t1"])
    store.now += 61
    del store.known["t1"]
    assert memberships.of(["t1"]) == {}


def test_only_so_many_tasks_are_remembered(store: Asked, memberships: Memberships) -> None:
    memberships.of([f"t{n}" for n in range(10)])
    memberships.of(["t10"])
    memberships.of(["t1", "t0"])
    assert store.questions[2:] == [["t0"]]
    memberships.of(["t3", "t50", "t51"])
    assert store.questions[3:] == [["t50", "t51"]]
    assert len(memberships.of([f"t{n}" for n in range(50)])) == 10


def test_a_store_that_does_not_answer_is_asked_the_next_time(store: Asked, memberships: Memberships) -> None:
    store.error = UnreachableError("The store does not answer.")
    with pytest.raises(UnreachableError):
        memberships.of(["t1"])
    store.error = None
    assert memberships.of(["t1"]) == {"t1": MEMBER}
