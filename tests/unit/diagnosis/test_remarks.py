from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chordwatch.diagnosis import Case
from chordwatch.diagnosis.causes import CAUSES
from chordwatch.diagnosis.rules.remarks import duplicate_delivery
from chordwatch.evidence.facts import Limits
from chordwatch.model import Attempt, HeaderTask, health_of
from chordwatch.store.protocol import RecordedChord
from tests.unit.cli.rendered import verdict
from tests.unit.judged import callback, case, causes, said
from tests.unit.seen import NOW, header_task, open_chord


def run(start: float, *, worker: str = "w1@zoo", lasts: float = 2.0, **fields: Any) -> Attempt:
    usual = {"attempt": 0, "state": "succeeded", "worker": worker, "finished_at": NOW - start + lasts}
    return Attempt(**{**usual, "started_at": NOW - start, **fields})


def task(number: int, *runs: Attempt, **fields: Any) -> HeaderTask:
    usual = {"state": "succeeded", "counted": True, "worker": runs[-1].worker, "attempts": runs}
    times = {"started_at": runs[-1].started_at, "finished_at": runs[-1].finished_at}
    return header_task(number, **{**usual, **times, **fields})


def recorded(*header: HeaderTask, applied: int = 1, **fields: Any) -> Case:
    chord = open_chord(
        header=header, counted=2, missing=(), state="succeeded", callback=callback(**fields.pop("body", {}))
    )
    known = RecordedChord(chord=chord, applied=applied, callback_runs=fields.pop("runs", {}))
    return case({}, chord=chord, recorded=known, **fields)


TWICE = task(0, run(60), run(50, worker="w2@zoo"))
ONCE = task(1, run(60))


def test_a_task_that_was_delivered_again_is_remarked_on() -> None:
    found = said(recorded(TWICE, ONCE, limits=Limits(visibility_timeout=9.0)), "duplicate_delivery")

    assert (found.outcome, found.certain, found.tasks) == ("ok", True, ("h0",))
    assert found.summary == (
        "1 task was started more than once without a retry: the broker delivered the message again."
    )
    assert found.evidence == (
        (
            "zoo.add (index 0) h0 started 2 times: at 2026-11-20 15:43:09 UTC on w1@zoo, "
            "at 2026-11-20 15:43:19 UTC on w2@zoo."
        ),
        "The broker's visibility_timeout is 9 s.",
    )
    assert found.since == NOW - 50


BODY_TWICE = (run(40), run(30, worker="w2@zoo"))


def test_a_callback_that_ran_twice_is_remarked_on() -> None:
    found = said(recorded(ONCE, runs={"body": BODY_TWICE}), "duplicate_delivery")

    assert (found.outcome, found.certain, found.tasks) == ("ok", True, ("body",))
    assert found.summary == (
        "The callback zoo.collect ran twice without a retry, so its effects happened twice."
    )
    assert found.evidence == (
        (
            "The callback zoo.collect body started 2 times: at 2026-11-20 15:43:29 UTC on w1@zoo, "
            "at 2026-11-20 15:43:39 UTC on w2@zoo."
        ),
    )
    assert found.since == NOW - 30


def test_the_callback_comes_before_the_header() -> None:
    found = said(recorded(TWICE, ONCE, runs={"body": BODY_TWICE}), "duplicate_delivery")

    assert found.tasks == ("body", "h0")
    assert found.summary == (
        "The callback zoo.collect ran twice without a retry, so its effects happened twice. "
        "1 task was started more than once without a retry: the broker delivered the message again."
    )
    assert [line.split(" started")[0] for line in found.evidence] == [
        "The callback zoo.collect body",
        "zoo.add (index 0) h0",
    ]
    assert found.since == NOW - 50


def test_a_run_that_was_cut_off_may_have_done_nothing() -> None:
    cut_off = run(60, state="started", finished_at=None)
    found = said(recorded(ONCE, runs={"body": (cut_off, run(50), run(40))}), "duplicate_delivery")

    assert found.summary == (
        "The callback zoo.collect ran 3 times without a retry, so its effects may have happened 3 times."
    )


def test_a_step_of_a_callback_stands_for_the_callback() -> None:
    found = said(recorded(ONCE, runs={"step": BODY_TWICE}), "duplicate_delivery")

    assert found.tasks == ("body",)
    assert found.summary.startswith("A task of the callback zoo.collect ran twice")
    assert found.evidence[0].startswith("step started 2 times")


@pytest.mark.parametrize(
    "runs",
    [
        (run(60, state="retrying"), run(50, attempt=1)),
        (run(60, state="ignored"), run(50)),
        (run(60, state="rejected"), run(50)),
        (run(60), Attempt(attempt=0, state="received", received_at=NOW - 50)),
    ],
)
def test_a_callback_that_was_meant_to_run_again_is_no_duplicate(runs: tuple[Attempt, ...]) -> None:
    assert causes(recorded(ONCE, runs={"body": runs})) == []


def test_a_callback_of_a_chord_that_was_applied_twice_is_no_duplicate() -> None:
    assert causes(recorded(ONCE, runs={"body": BODY_TWICE}, applied=2)) == ["chord_reapplied"]


@pytest.mark.parametrize("task_id", ["body", "h0"])
def test_a_task_in_a_loop_is_no_duplicate(task_id: str) -> None:
    looping = verdict(cause="worker_lost_loop", outcome="looping", tasks=(task_id,))
    there = replace(recorded(TWICE, ONCE, runs={"body": BODY_TWICE}), found=(looping,))

    assert [v.tasks for v in duplicate_delivery(there)] == [("h0",) if task_id == "body" else ("body",)]


def test_a_remark_neither_explains_nor_worsens() -> None:
    found = said(recorded(TWICE, ONCE), "duplicate_delivery")

    assert health_of("open", (found,)) == "ok"
    remarks = {cause for cause in CAUSES if not CAUSES[cause].explains}
    assert remarks == {"duplicate_delivery", "callback_fired_early", "chord_reapplied", "unknown"}


@pytest.mark.parametrize(
    "runs",
    [
        (run(60),),
        (run(60, state="retrying"), run(50, attempt=1)),
        (run(60, state="ignored"), run(50)),  # replace() keeps id and attempt
        (run(60, state="rejected"), run(50)),  # Reject(requeue=True)
        (run(60), Attempt(attempt=0, state="received", received_at=NOW - 50)),
    ],
)
def test_a_retry_and_a_replacement_are_no_duplicates(runs: tuple[Attempt, ...]) -> None:
    assert causes(recorded(task(0, *runs), ONCE)) == []


def test_a_chord_that_was_applied_twice_runs_its_tasks_twice() -> None:
    found = said(recorded(TWICE, ONCE, applied=2), "chord_reapplied")

    assert (found.outcome, found.certain) == ("ok", True)
    assert found.summary == (
        "The same chord was sent 2 times with the same ids; its tasks run each time, its callback once."
    )
    assert causes(recorded(TWICE, ONCE, applied=2)) == ["chord_reapplied"]
    assert causes(recorded(ONCE)) == []


FIRED = {"state": "succeeded", "started_at": NOW - 200, "worker": "w1@zoo"}


def early(*header: HeaderTask, **fields: Any) -> Case:
    return recorded(*header, **{"body": FIRED, "instrumented_only": True, **fields})


def test_a_callback_that_ran_before_a_header_task_began_is_remarked_on() -> None:
    late = task(1, run(190))

    found = said(early(task(0, run(210)), late), "callback_fired_early")
    assert (found.outcome, found.tasks) == ("ok", ("h1",))
    assert found.summary == (
        "The callback zoo.collect started before 1 task of the header had ended: its results are not whole."
    )
    assert found.evidence[0] == "The callback started at 2026-11-20 15:40:49 UTC on w1@zoo."
    assert found.since == NOW - 200


def test_a_part_that_was_counted_twice_makes_the_end_of_another_a_sign() -> None:
    doubled, slow = task(0, run(230), run(220)), task(1, run(230, lasts=60.0))

    assert causes(early(doubled, slow)) == ["duplicate_delivery", "callback_fired_early"]
    # Alone it may just have taken long after it was counted.
    assert causes(early(slow)) == []


@pytest.mark.parametrize(
    "there",
    [
        early(task(1, run(196))),
        early(task(1, run(111, worker="w2@zoo"))),  # another clock
        early(task(1, run(190), run(180))),  # a late duplicate
        early(task(1, run(190)), instrumented_only=False),
        early(task(1, run(190)), applied=2),
        early(task(1, run(190)), body={"state": "succeeded"}),
        replace(early(task(1, run(190))), recorded=None),
    ],
)
def test_a_callback_that_may_have_waited_did_not_fire_early(there: Case) -> None:
    assert "callback_fired_early" not in causes(there)
