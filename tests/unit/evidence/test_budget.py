from __future__ import annotations

import pytest

from chordwatch.evidence.budget import Budget, Gaps


class Clock:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        """Return the time it was set to."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("chordwatch.evidence.budget.time", clock)
    return clock


def test_a_budget_runs_out_and_never_below_zero(clock: Clock) -> None:
    budget = Budget(3.0)
    clock.now += 2

    assert (budget.left(), budget.spent) == (1.0, False)

    clock.now += 2
    assert (budget.left(), budget.spent) == (0.0, True)


def test_a_share_is_of_what_is_left(clock: Clock) -> None:
    budget = Budget(4.0)
    clock.now += 2

    share = budget.share(0.5)
    clock.now += 1

    assert (share.spent, budget.left()) == (True, 1.0)


def test_what_was_not_seen_is_said_once_and_the_counts_come_last() -> None:
    gaps = Gaps()
    gaps.skip("pickled result")
    gaps.note("The broker is not Redis.")
    gaps.note("The broker is not Redis.")
    for _ in range(1200):
        gaps.skip("damaged message")

    assert gaps.lines() == (
        "The broker is not Redis.",
        "Skipped 1,200 × damaged message.",
        "Skipped 1 × pickled result.",
    )
    assert not gaps.partial


def test_a_look_that_was_once_partial_stays_so() -> None:
    gaps = Gaps()
    gaps.note("Time ran out.", partial=True)
    gaps.note("The broker is not Redis.")

    assert gaps.partial


def test_time_in_which_nothing_is_read_is_not_counted(clock: Clock) -> None:
    budget = Budget(3.0)
    with budget.paused():
        clock.now += 10

    assert budget.left() == 3.0


def test_what_parts_of_a_look_could_not_see_is_told_as_one() -> None:
    gaps, other = Gaps(), Gaps()
    gaps.skip("part")
    other.skip("part")
    other.note("A queue was not read.")
    gaps.add(other)

    assert gaps.lines() == ("A queue was not read.", "Skipped 2 × part.")
    assert not gaps.partial

    other.leave_out(["c8", "c9"], 7)
    gaps.add(other)
    assert gaps.partial
    assert gaps.unread == {"c8", "c9"}
    assert "Time ran out after 7 of 9 chords." in gaps.lines()
