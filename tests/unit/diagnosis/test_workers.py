from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chordwatch.evidence.facts import Consumers, Place, WorkerLife
from chordwatch.model import Attempt, HeaderTask
from tests.unit.diagnosis.workers_told import (
    OTHER,
    bare,
    lost,
)
from tests.unit.judged import (
    NOWHERE,
    alive,
    callback,
    causes,
    dead,
    life,
    received,
    running,
    said,
    started,
    told,
    unacked,
)
from tests.unit.seen import NOW, W1, consumers, header_task, in_queue


def test_a_task_that_its_worker_took_into_death_is_lost() -> None:
    verdict = said(lost(), "worker_lost")

    assert (verdict.outcome, verdict.tasks, verdict.certain, verdict.question) == (
        "hung",
        ("h1",),
        True,
        None,
    )
    assert verdict.summary == "zoo.add (index 1) h1 was lost with worker w1@zoo, which died."
    assert verdict.evidence == (
        "zoo.add (index 1) h1 was started by w1@zoo at 2026-11-20 15:43:09 UTC.",
        (
            "The last heartbeat of w1@zoo came at 2026-11-20 15:43:44 UTC, 25 s ago, "
            "and its connection to the store is gone."
        ),
        "Two looks since 2026-11-20 15:44:04 UTC agree: it is in no queue, not unacknowledged, and at no worker.",
    )
    assert verdict.since == NOW - 25
    assert "task_acks_late" in verdict.remedy
    assert "chords results group)" in verdict.remedy


def test_a_lost_task_has_no_second_cause() -> None:
    assert causes(lost()) == ["worker_lost"]


def test_tasks_that_one_worker_took_along_are_one_verdict() -> None:
    both = told(
        {"h1": NOWHERE, "h2": NOWHERE},
        started(1),
        received(2),
        who=OTHER,
        nowhere_since={"h1": NOW - 5, "h2": NOW - 5},
        lives={"w1@zoo": (dead(),)},
    )

    verdict = said(both, "worker_lost")
    assert verdict.tasks == ("h1", "h2")
    assert verdict.summary == "2 tasks were lost with worker w1@zoo, which died."
    assert "h2 was received by w1@zoo" in verdict.evidence[1]


def test_each_worker_that_died_has_its_verdict() -> None:
    both = told(
        {"h1": NOWHERE, "h2": NOWHERE},
        started(1),
        started(2, worker="w9@zoo"),
        nowhere_since={"h1": NOW - 5, "h2": NOW - 5},
        lives={"w1@zoo": (dead(),), "w9@zoo": (dead("w9@zoo"),)},
        who=OTHER,
    )

    assert causes(both) == ["worker_lost", "worker_lost"]


def test_the_callback_is_lost_as_a_header_task_is() -> None:
    body = callback(state="started", worker="w1@zoo", started_at=NOW - 60)
    gone = told(
        {"body": NOWHERE},
        who=OTHER,
        chord={"callback": body, "counted": 1},
        nowhere_since={"body": NOW - 5},
        lives={"w1@zoo": (dead(),)},
    )

    assert said(gone, "worker_lost").tasks == ("body",)


@pytest.mark.parametrize(
    ("lives", "how"),
    [
        ((life(gone=True, last_beat_at=NOW - 40),), "which has left"),
        ((dead(connected=None), life(since=NOW - 20)), "which was started anew"),
        ((life(since=NOW - 20),), "which was started anew"),
    ],
)
def test_a_goodbye_and_another_start_end_a_worker_as_well(lives: Any, how: str) -> None:
    verdict = said(lost(lives={"w1@zoo": lives}), "worker_lost")

    assert verdict.certain
    assert verdict.summary.endswith(f"w1@zoo, {how}.")


def test_without_the_list_of_connections_death_is_not_certain() -> None:
    silent = lost(lives={"w1@zoo": (dead(connected=None),)})

    verdict = said(silent, "worker_lost")
    assert not verdict.certain
    assert "whether it is still connected could not be read" in verdict.evidence[1]
    assert causes(silent) == ["worker_lost", "worker_frozen"]


def test_without_the_queues_a_loss_is_not_certain_and_says_what_was_not_read() -> None:
    verdict = said(lost(place=Place(kind="unknown"), nowhere_since={}), "worker_lost")

    assert not verdict.certain
    assert (
        verdict.question == "Does the broker still hold a message of zoo.add (index 1) h1 (task_acks_late)?"
    )
    assert "could not be read" in verdict.evidence[-1]


@pytest.mark.parametrize(
    ("task", "lives"),
    [
        (received(), (dead(),)),
        (received(), (life(gone=True, last_beat_at=NOW - 9),)),
        (started(), (life(gone=True, last_beat_at=NOW - 9),)),
    ],
    ids=["received by one that died", "received by one that left", "started by one that left"],
)
def test_what_went_back_to_a_queue_that_was_not_read_to_its_end_is_not_lost(
    task: HeaderTask, lives: tuple[WorkerLife, ...]
) -> None:
    given_back = lost(task, Place(kind="unknown"), nowhere_since={}, lives={"w1@zoo": lives})
    unreadable = replace(given_back, consumers=replace(OTHER, inferred=True))

    assert causes(given_back) == []
    assert causes(unreadable) == ["worker_lost"]


@pytest.mark.parametrize(
    "place",
    [
        in_queue(),
        unacked(),
        running(worker="w2@zoo"),
        Place(kind="reserved", name="w2@zoo"),
        Place(kind="scheduled", name="w2@zoo", eta=NOW + 60),
    ],
)
def test_a_task_that_is_somewhere_is_not_lost(place: Place) -> None:
    assert "worker_lost" not in causes(lost(place=place))


def test_one_look_is_not_enough() -> None:
    assert causes(lost(nowhere_since={})) == []


@pytest.mark.parametrize(
    "lives",
    [
        {},
        {"w1@zoo": (life(),)},
        {"w2@zoo": (dead("w2@zoo"),)},
        # A first heartbeat comes a little after the first task.
        {"w1@zoo": (life(since=NOW - 56),)},
        # The clock of a worker that was started anew is a minute behind: it names the task, or has not yet beaten.
        {"w1@zoo": (dead(), life(since=NOW - 20, active=("h1",)))},
        {"w1@zoo": (dead(), life(since=NOW - 20, last_beat_at=NOW - 5.5))},
    ],
)
def test_a_worker_of_which_nothing_says_that_it_died_has_lost_nothing(lives: Any) -> None:
    found = causes(lost(who=consumers(alive()), lives=lives))

    assert not {"worker_lost", "worker_frozen"} & set(found)


@pytest.mark.parametrize("state", ["succeeded", "failed", "ignored", "rejected", "revoked", "retrying"])
def test_a_task_that_ended_before_its_worker_did_was_not_lost_with_it(state: Any) -> None:
    run = Attempt(attempt=0, state=state, worker="w1@zoo", started_at=NOW - 60, finished_at=NOW - 50)

    assert "worker_lost" not in causes(lost(header_task(1, state=state, worker="w1@zoo", attempts=(run,))))


def test_a_task_that_was_taken_again_by_a_living_worker_is_not_lost() -> None:
    runs = (*started().attempts, *started(worker="w2@zoo", at=NOW - 10).attempts)
    again = lost(started(attempts=runs), lives={"w1@zoo": (dead(),), "w2@zoo": (life("w2@zoo"),)})

    assert causes(again) == ["unknown", "duplicate_delivery"]


def test_bare_a_worker_that_does_not_answer_may_be_lost_or_frozen() -> None:
    silent = bare()

    assert causes(silent) == ["worker_lost", "worker_frozen"]
    verdict = said(silent, "worker_lost")
    assert (verdict.certain, verdict.tasks) == (False, ("h1",))
    assert verdict.question == "Did the worker w1@zoo stop or restart, or is it too busy to answer?"
    assert "(process 77)" in verdict.evidence[0]
    assert verdict.evidence[1] == "w1@zoo did not answer an inspect at 2026-11-20 15:44:09 UTC."
    assert said(silent, "worker_frozen").question == "Does the main process of worker w1@zoo still exist?"


def test_bare_a_worker_that_was_started_after_its_task_has_lost_it() -> None:
    verdict = said(bare(who=consumers(alive(started_at=NOW - 30)), started_at=NOW - 60), "worker_lost")

    assert not verdict.certain
    assert verdict.question == (
        "Did zoo.add (index 1) h1 still run when w1@zoo was started anew at 2026-11-20 15:43:39 UTC?"
    )


def test_bare_the_process_that_ran_the_task_tells_a_restart_since_the_chord_was_opened() -> None:
    who = consumers(alive(started_at=NOW - 30, processes=(11, 12)))

    assert "no process 77" in said(bare(who=who, opened=NOW - 90), "worker_lost").evidence[1]


@pytest.mark.parametrize(
    ("who", "opened", "result"),
    [
        # Its pool has replaced a process, but it is older than the chord.
        (consumers(alive(processes=(11,))), NOW - 90, {}),
        # It was started since, but the process is there.
        (consumers(alive(started_at=NOW - 30, processes=(77,))), NOW - 90, {}),
        (consumers(alive(started_at=NOW - 62)), None, {"started_at": NOW - 60}),
        (consumers(W1), NOW - 90, {}),
        (Consumers(), NOW - 90, {}),
        (OTHER, None, {"state": "succeeded"}),
    ],
)
def test_bare_a_worker_that_may_have_it_or_is_not_known_has_not_lost_it(
    who: Consumers, opened: float | None, result: Any
) -> None:
    assert "worker_lost" not in causes(bare(who=who, opened=opened, **result))
