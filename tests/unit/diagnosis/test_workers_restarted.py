"""A worker that was killed and came back under its name within seconds: which of its lives had the task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chordwatch.diagnosis import Case, diagnose
from chordwatch.diagnosis.lives import taker_of
from chordwatch.evidence.facts import WorkerLife
from tests.unit.diagnosis.workers_told import CANCELLED, LOST, lost
from tests.unit.judged import NOWHERE, alive, causes, dead, life, received, said, started, told, unacked
from tests.unit.seen import NOW, consumers

#: `h1` was started at `NOW - 60`; the worker was killed half a second later, and was there again within seconds.
TAKEN = NOW - 60
BEFORE = dead(last_beat_at=TAKEN - 1.5, active=())
NAMING = dead(last_beat_at=TAKEN + 0.4, active=("h1",))
AGAIN = life(since=TAKEN + 2)


def restarted(*lives: WorkerLife, **fields: Any) -> Case:
    return lost(who=consumers(alive(started_at=TAKEN + 1)), lives={"w1@zoo": lives}, **fields)


def taken_by(*lives: WorkerLife) -> tuple[WorkerLife | None, WorkerLife | None]:
    taker = taker_of(lives, "h1", TAKEN)
    return taker.life, taker.rival


def test_a_task_is_lost_with_the_life_that_named_it_last() -> None:
    again = restarted(NAMING, AGAIN)

    assert causes(again) == ["worker_lost"]
    verdict = said(again, "worker_lost")
    assert (verdict.outcome, verdict.certain, verdict.since) == ("hung", True, TAKEN + 0.4)
    assert verdict.evidence[1].startswith(
        "The last heartbeat of w1@zoo came at 2026-11-20 15:43:09 UTC, 59 s ago"
    )


def test_when_the_second_life_has_ended_too_the_first_is_still_the_one() -> None:
    verdict = said(restarted(NAMING, dead(since=TAKEN + 2, last_beat_at=NOW - 20)), "worker_lost")

    assert (verdict.certain, verdict.since) == (True, TAKEN + 0.4)


def test_a_life_that_was_killed_a_moment_ago_is_no_defect_of_chordwatch() -> None:
    recent = replace(NAMING, stale=False, connected=None)

    assert causes(restarted(recent, AGAIN)) == []


def test_where_no_heartbeat_named_the_task_it_is_asked_which_life_took_it() -> None:
    again = restarted(BEFORE, AGAIN)

    assert causes(again) == ["worker_lost"]
    verdict = said(again, "worker_lost")
    assert (verdict.outcome, verdict.certain, verdict.since) == ("hung", False, TAKEN - 1.5)
    assert verdict.evidence[1].endswith(
        "and its connection to the store is gone. It was started anew by 2026-11-20 15:43:11 UTC, at about the time "
        "at which the task was taken."
    )
    assert verdict.question == (
        "Did w1@zoo take zoo.add (index 1) h1 before it was started anew by 2026-11-20 15:43:11 UTC?"
    )


def test_where_both_lives_have_ended_it_is_lost_whichever_took_it() -> None:
    assert said(restarted(BEFORE, dead(since=TAKEN + 2)), "worker_lost").certain


def test_the_second_life_may_have_it_until_it_has_beaten_without_naming_it() -> None:
    assert "worker_lost" not in causes(restarted(BEFORE, replace(AGAIN, last_beat_at=LOST["h1"] - 1)))
    assert "worker_lost" not in causes(restarted(BEFORE, replace(AGAIN, active=("h1",))))


def test_a_frozen_life_is_not_certain_to_have_what_the_next_one_may_have_taken() -> None:
    stopped = replace(BEFORE, connected=True)

    assert not said(restarted(stopped, AGAIN), "worker_frozen").certain
    assert said(restarted(replace(NAMING, connected=True), AGAIN), "worker_frozen").certain


def test_a_message_of_the_life_that_named_it_waits_for_its_redelivery() -> None:
    late = restarted(NAMING, AGAIN, place=unacked(), task=started())

    assert said(late, "redelivery_pending").certain


def test_a_message_that_either_life_can_have_taken_is_asked_for() -> None:
    verdict = said(restarted(BEFORE, AGAIN, place=unacked(), nowhere_since={}), "redelivery_pending")

    assert not verdict.certain


def test_what_is_received_and_not_started_the_second_life_may_keep_back() -> None:
    kept = restarted(BEFORE, AGAIN, place=unacked(), task=received(), nowhere_since={})

    assert causes(kept) == ["rate_limited"]


def test_tasks_that_two_lives_took_along_are_two_verdicts() -> None:
    second = dead(since=TAKEN + 2, last_beat_at=NOW - 20, active=("h2",))
    both = told(
        {"h1": NOWHERE, "h2": NOWHERE},
        started(1),
        started(2, at=NOW - 30),
        nowhere_since={**LOST, "h2": NOW - 5},
        lives={"w1@zoo": (NAMING, second)},
    )

    verdicts = {verdict.tasks: verdict.since for verdict in diagnose(both)}
    assert verdicts == {("h1",): TAKEN + 0.4, ("h2",): NOW - 20}


@pytest.mark.parametrize(("at", "certain"), [(NOW - 40, True), (NOW - 42, False)])
def test_a_task_that_was_cancelled_was_so_by_the_life_that_left_then(at: float, certain: bool) -> None:
    """It ended at `NOW - 41`, shortly before the worker was there again."""
    left = (dead(last_beat_at=at), life(since=NOW - 39))

    assert said(lost(CANCELLED, lives={"w1@zoo": left}), "cold_shutdown").certain is certain


@pytest.mark.parametrize(
    ("lives", "which"),
    [
        ((NAMING, AGAIN), 0),
        # It beat when the task was taken: nobody else was there yet.
        ((replace(BEFORE, last_beat_at=TAKEN + 0.1), AGAIN), 0),
        # It had said goodbye, or was silent for longer than a living one can be.
        ((replace(BEFORE, gone=True), AGAIN), 1),
        ((replace(BEFORE, last_beat_at=TAKEN - 9), AGAIN), 1),
        # The second one was there already.
        ((BEFORE, life(since=TAKEN - 0.1)), 1),
        # The second one's clock is a minute ahead of the store's, and so is the time at which it took the task.
        ((BEFORE, life(since=TAKEN - 60.1, clock_ahead=60)), 1),
        (
            (
                replace(BEFORE, last_beat_at=TAKEN - 61, clock_ahead=60.9),
                life(since=TAKEN - 58, clock_ahead=60.5),
            ),
            None,
        ),
        # Of those that came later the first took it: the next began when that had come and gone.
        ((dead(since=TAKEN + 1, last_beat_at=TAKEN + 2), life(since=TAKEN + 3)), 0),
        ((AGAIN,), 0),
        # A message that came back was taken by the second one; the first had named it as well.
        ((replace(NAMING, last_beat_at=TAKEN - 20), life(since=TAKEN - 10)), 1),
        # An earlier run is not that of the life which names the task now.
        ((dead(), life(since=NOW - 20, active=("h1",))), 0),
    ],
)
def test_a_task_was_taken_by_one_life(lives: tuple[WorkerLife, ...], which: int | None) -> None:
    if which is None:
        assert taken_by(*lives) == lives
    else:
        assert taken_by(*lives) == (lives[which], None)


def test_a_task_that_no_life_can_have_taken_was_of_one_of_which_nobody_knows() -> None:
    later = life(since=TAKEN + 6)

    assert taker_of((later,), "h1", TAKEN).life is None
    assert taker_of((later,), "h1", TAKEN).later == (later,)


def test_without_a_time_it_is_the_last_life_or_the_one_that_named_it() -> None:
    assert taker_of((BEFORE, AGAIN), "h1", None).life == AGAIN
    assert taker_of((NAMING, AGAIN), "h1", None).life == NAMING
