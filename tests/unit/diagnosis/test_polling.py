from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chordwatch.diagnosis import Case, diagnose
from chordwatch.evidence.facts import Place, Unlock
from chordwatch.model import Attempt, TaskState, Verdict
from chordwatch.store.protocol import RecordedChord
from tests.unit.recorded import ran
from tests.unit.recorded import recorded as recorded_chord
from tests.unit.seen import BODY, NOW, W1, consumers, header_task, keys, open_chord, part

UNLOCK = Unlock(
    chord_id="group",
    task_id="unlock",
    queue="celery",
    header=("h0", "h1"),
    body=BODY,
    retries=8,
    unacked=True,
    eta=NOW + 1,
)


def polled(unlock: Unlock = UNLOCK, **fields: Any) -> Case:
    """Return a chord of two on a polling backend: h0 has its result, h1 is nowhere for two looks."""
    usual: dict[str, Any] = {
        "chord": open_chord(),
        "places": {"h1": Place(kind="nowhere")},
        "nowhere_since": {"h1": NOW - 2},
        "consumers": consumers(W1),
        "now": NOW,
        "keys": keys(size=2, parts=(part(0),), counting="polling", header=("h0", "h1"), unlock=unlock),
    }
    return Case(**{**usual, **fields})


def recorded(state: TaskState, finished_at: float | None = NOW - 60) -> RecordedChord:
    """Return the record of a chord whose second task ended so."""
    ended = header_task(1, state=state, attempts=(Attempt(attempt=0, state=state, finished_at=finished_at),))
    return RecordedChord(chord=replace(open_chord(), header=(header_task(0, counted=True), ended)))


def named(case: Case, cause: str) -> list[Verdict]:
    return [verdict for verdict in diagnose(case) if verdict.cause == cause]


@pytest.mark.parametrize(
    ("state", "how"),
    [("succeeded", "ignore_result"), ("ignored", "raised Ignore"), ("rejected", "was rejected")],
)
def test_a_task_that_ended_without_a_result_is_polled_for_ever(state: TaskState, how: str) -> None:
    (found,) = named(polled(recorded=recorded(state)), "unlock_polling")

    assert (found.outcome, found.certain, found.tasks) == ("looping", True, ("h1",))
    assert "has asked 9 times for 1 result that will not come" in found.summary
    assert "zoo.collect is never sent" in found.summary
    assert any("retry 8, without a bound" in line for line in found.evidence)
    assert any(how in line and "h1" in line for line in found.evidence)
    assert "celery -A proj control revoke unlock" in found.remedy
    assert found.since == NOW - 60


def test_without_a_record_a_task_that_two_looks_found_nowhere_is_asked_about() -> None:
    (found,) = named(polled(), "unlock_polling")

    assert (found.certain, found.tasks) == (False, ("h1",))
    assert found.question
    assert "h1" in found.question


@pytest.mark.parametrize(
    "healthy",
    [
        polled(nowhere_since={}),
        polled(places={"h1": Place(kind="active", name="w1@zoo")}, nowhere_since={}),
        polled(replace(UNLOCK, retries=2)),
        polled(keys=None),
        polled(keys=keys(size=2, parts=(part(0), part(1)), counting="polling", unlock=UNLOCK)),
        polled(keys=keys(size=2, parts=(part(0),), counting="unread", unlock=UNLOCK)),
        polled(recorded=recorded("succeeded", NOW - 1), nowhere_since={}),
        polled(recorded=recorded("started"), nowhere_since={}),
        polled(chord=replace(open_chord(), state="succeeded")),
    ],
    ids=[
        "one look",
        "it runs",
        "polled twice",
        "no poll",
        "all results are there",
        "results cannot be read",
        "it ended just now",
        "it has started",
        "the chord is over",
    ],
)
def test_a_poll_that_may_come_to_its_end_is_no_loop(healthy: Case) -> None:
    assert named(healthy, "unlock_polling") == []


def test_a_poll_in_a_queue_that_nobody_reads_holds_the_callback() -> None:
    waiting = replace(UNLOCK, queue="nobody", retries=0, unacked=False)

    (found,) = named(polled(waiting), "callback_queue_unconsumed")

    assert (found.outcome, found.certain, found.tasks) == ("hung", False, ("body",))
    assert "waits in queue nobody, which no worker reads" in found.summary
    assert "worker -Q nobody" in found.remedy
    assert named(polled(waiting), "unlock_polling") == []
    assert named(polled(waiting, instrumented_only=True), "callback_queue_unconsumed")[0].certain


@pytest.mark.parametrize(
    "case",
    [
        polled(replace(UNLOCK, unacked=False)),
        polled(replace(UNLOCK, queue="nobody")),
        polled(
            replace(UNLOCK, queue="nobody", unacked=False),
            consumers=consumers(W1, missing_since={"nobody": NOW - 5}),
        ),
        polled(
            replace(UNLOCK, queue="nobody", unacked=False), consumers=consumers(W1, counted={"nobody": 1})
        ),
        polled(replace(UNLOCK, queue="nobody", unacked=False), consumers=consumers()),
    ],
    ids=["a worker reads it", "a worker holds it", "a restart", "the broker counts a consumer", "no worker"],
)
def test_a_poll_that_somebody_reads_is_not_held(case: Case) -> None:
    assert named(case, "callback_queue_unconsumed") == []


def used_up(**fields: Any) -> Case:
    """Return a chord of django-celery-results: both parts have ended, and its counter is gone."""
    parts = (ran(0), ran(1))
    known = recorded_chord(header=parts, counted=2, progressed_at=NOW - 60)
    usual: dict[str, Any] = {
        "chord": known.chord,
        "places": {},
        "consumers": consumers(W1),
        "now": NOW,
        "keys": keys(counting="counter"),
        "recorded": known,
        "instrumented_only": True,
    }
    return Case(**{**usual, **fields})


def test_a_counter_that_is_used_up_without_a_callback_is_asked_about() -> None:
    (found,) = named(used_up(), "counter_overrun")

    assert (found.outcome, found.certain, found.tasks, found.since) == ("hung", False, ("body",), NOW - 60)
    assert "2 of 2 parts have ended" in found.evidence[0]
    assert found.question
    assert "ignore_result" in found.question


@pytest.mark.parametrize(
    "healthy",
    [
        used_up(keys=keys(counting="counter", remaining=1)),
        used_up(keys=keys()),
        used_up(keys=None),
        used_up(instrumented_only=False),
        used_up(now=NOW - 55),
        used_up(recorded=recorded_chord(header=(ran(0), ran(1)), counted=1)),
        used_up(places={"body": Place(kind="queue", name="celery")}),
        used_up(chord=replace(used_up().chord, state="succeeded")),
    ],
    ids=[
        "it counts",
        "Redis",
        "nothing read",
        "a bare worker",
        "just now",
        "one runs",
        "it waits",
        "it is over",
    ],
)
def test_a_counter_that_did_its_work_is_well(healthy: Case) -> None:
    assert named(healthy, "counter_overrun") == []
