from __future__ import annotations

from typing import Any

import pytest

from chordwatch.diagnosis import Case
from chordwatch.evidence.facts import Limits
from chordwatch.model import Attempt, HeaderTask
from tests.unit.judged import case, causes, dead, life, running, said, told, unacked
from tests.unit.seen import NOW, header_task, in_queue, open_chord


def test_a_running_header_task_is_well() -> None:
    verdict = said(case({"h1": running(ago=3)}), "header_running")

    assert (verdict.outcome, verdict.since) == ("ok", NOW - 3)
    assert verdict.summary == "1 task runs on w1@zoo."
    assert verdict.evidence == ("zoo.add (index 1) h1 is running on w1@zoo since 2026-11-20 15:44:06 UTC.",)


def test_a_running_callback_is_well_under_a_name_of_its_own() -> None:
    found = case({"body": running(ago=3)})

    verdict = said(found, "callback_running")
    assert (verdict.outcome, verdict.tasks, verdict.since) == ("ok", ("body",), NOW - 3)
    assert verdict.summary == "The callback zoo.collect body runs on w1@zoo."
    assert causes(found) == ["callback_running"]


@pytest.mark.parametrize("ago", [60, 86_400, 30 * 86_400])
def test_no_task_runs_too_long_without_a_history_of_its_kind(ago: float) -> None:
    assert causes(case({"h1": running(ago=ago)})) == ["header_running"]
    assert causes(case({"h1": running(ago=ago)}, usual={"zoo.other": 1.0})) == ["header_running"]


def test_a_task_that_runs_far_longer_than_its_kind_is_overdue() -> None:
    found = case({"h1": running(ago=3700)}, usual={"zoo.add": 110.0})

    verdict = said(found, "task_overdue")
    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("late", True, ("h1",))
    assert verdict.summary == (
        "zoo.add (index 1) h1 runs on w1@zoo for 1 h 1 min; nearly all of its kind took at most 1 min 50 s."
    )
    assert verdict.evidence[1].endswith("it counts as overdue after 5 min 30 s.")
    assert verdict.since == NOW - 3700 + 330
    assert "revoke h1 --terminate" in verdict.remedy
    assert causes(found) == ["task_overdue"]


def test_overdue_tasks_of_one_kind_are_one_verdict() -> None:
    parts = (header_task(0, state="started"), header_task(1, state="started"))
    found = case(
        {"h0": running(ago=400), "h1": running(ago=500)},
        usual={"zoo.add": 0.2},
        chord=open_chord(header=parts),
    )

    verdict = said(found, "task_overdue")

    assert verdict.tasks == ("h0", "h1")
    assert verdict.summary.startswith("2 tasks zoo.add run for up to 8 min 20 s; nearly all")
    assert causes(found) == ["task_overdue"]


def test_the_callback_can_be_overdue_as_well() -> None:
    assert said(case({"body": running(ago=301)}, usual={"zoo.collect": 0.2}), "task_overdue").tasks == (
        "body",
    )


@pytest.mark.parametrize(
    ("ago", "fields", "cause"),
    [
        (300, {"usual": {"zoo.add": 0.2}}, "header_running"),
        (301, {"usual": {"zoo.add": 0.2}}, "task_overdue"),
        (301, {"usual": {"zoo.add": 0.2}, "overdue_floor": 600.0}, "header_running"),
        (6000, {"usual": {"zoo.add": 2000.0}}, "header_running"),
        (6001, {"usual": {"zoo.add": 2000.0}}, "task_overdue"),
    ],
)
def test_overdue_is_beyond_the_floor_and_three_times_what_is_usual(
    ago: float, fields: Any, cause: str
) -> None:
    assert causes(case({"h1": running(ago=ago)}, **fields)) == [cause]


def runs(*states: Any, every: float = 2.0, attempt: int = 0, worker: str = "w1@zoo") -> HeaderTask:
    """Return `h1` with a start for each of these states, the last of them now."""
    begun = [NOW - every * (len(states) - number) for number in range(1, len(states) + 1)]
    attempts = tuple(
        Attempt(attempt=attempt, state=state, worker=worker, received_at=at - 0.1, started_at=at)
        for state, at in zip(states, begun, strict=True)
    )
    return header_task(1, state=states[-1], worker=worker, attempts=attempts)


def looping(task: HeaderTask, **fields: Any) -> Case:
    long = life(since=NOW - 90_000)
    usual: dict[str, Any] = {"limits": Limits(visibility_timeout=3600.0), "lives": {"w1@zoo": (long,)}}
    return told({"h1": running(ago=1)}, task, **{**usual, **fields})


def test_a_task_that_kills_its_process_again_and_again_loops() -> None:
    found = looping(runs("started", "started", "started", "started"))

    verdict = said(found, "worker_lost_loop")
    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("looping", True, ("h1",))
    assert verdict.summary == (
        "zoo.add (index 1) h1 was started 4 times in attempt 1, and lost its process each time."
    )
    assert verdict.evidence == (
        "Started 4 times between 2026-11-20 15:44:03 UTC and 2026-11-20 15:44:09 UTC, every 2 s, on w1@zoo.",
        "0 starts ended with the message rejected, 4 starts without an end; the attempt stayed 1.",
    )
    assert verdict.since == NOW - 6
    assert "control revoke h1 " in verdict.remedy
    assert causes(found) == ["worker_lost_loop"]


def test_a_task_that_puts_its_message_back_again_and_again_loops() -> None:
    found = looping(runs("rejected", "rejected", "rejected", "started", every=0.3))

    verdict = said(found, "requeue_loop")
    assert (verdict.outcome, verdict.certain) == ("looping", True)
    assert verdict.summary.endswith("4 times in attempt 1, and put its message back each time.")
    assert "every 0.30 s" in verdict.evidence[0]
    assert causes(found) == ["requeue_loop"]


def test_a_task_that_takes_whole_workers_along_loops_with_each_redelivery() -> None:
    ended = {"w1@zoo": (dead(since=NOW - 90_000),)}

    found = looping(runs("started", "started", "started", every=3700), lives=ended)

    assert causes(found) == ["worker_lost_loop"]


@pytest.mark.parametrize(
    "task",
    [
        runs("started", "started"),
        runs("rejected", "rejected"),
        runs("started", "started", "succeeded"),
        runs("rejected", "rejected", "failed"),
        runs("retrying", "retrying", "retrying"),
        # Slow runs that go on, delivered again after each visibility timeout: duplicates, which will end.
        runs("started", "started", "started", every=3700),
    ],
)
def test_a_task_that_was_started_twice_or_ends_or_runs_at_its_own_pace_does_not_loop(
    task: HeaderTask,
) -> None:
    assert not {"worker_lost_loop", "requeue_loop"} & set(causes(looping(task)))


def test_retries_are_other_attempts_and_no_loop() -> None:
    attempts = tuple(run for number in range(5) for run in runs("started", attempt=number).attempts)

    assert causes(looping(header_task(1, attempts=attempts))) == ["header_running"]


def test_a_counted_task_does_not_loop() -> None:
    task = runs("rejected", "rejected", "rejected")
    counted = header_task(1, counted=True, attempts=task.attempts)

    assert causes(told({}, counted)) == []


@pytest.mark.parametrize("place", [running(ago=1), unacked(ago=1), in_queue()])
def test_bare_a_task_that_looks_saw_begin_anew_is_in_one_of_two_loops(place: Any) -> None:
    found = case({"h1": place}, starts_seen={"h1": 3}, chord=open_chord())

    assert causes(found)[:2] == ["worker_lost_loop", "requeue_loop"]
    assert not said(found, "requeue_loop").certain
    assert said(found, "requeue_loop").question == "Does its code raise Reject(requeue=True)?"
    assert said(found, "worker_lost_loop").evidence == ("zoo.add (index 1) h1 was seen to start 3 times.",)


def test_bare_two_starts_are_no_loop() -> None:
    assert causes(case({"h1": running(ago=1)}, starts_seen={"h1": 2})) == ["header_running"]
