"""What is left of a chord's state at its end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chordwatch.diagnosis import Case
from chordwatch.model import Attempt
from chordwatch.store.protocol import RecordedChord
from tests.unit.diagnosis.state_told import (
    AT_WORK,
    FULL,
    HELD,
    claimed,
    counter,
    twice,
    uncounted,
    unstored,
)
from tests.unit.judged import READ, alive, callback, causes, life, said, started
from tests.unit.seen import NOW, consumers, header_task, in_queue, keys, meta, open_chord, part


@pytest.mark.parametrize(
    "there",
    [
        unstored("NotRegistered: 'zoo.x'"),
        unstored(place=in_queue()),
        unstored(task={"counted": True}),
        unstored(task={"attempts": (Attempt(attempt=0, state="started", started_at=NOW - 5),)}),
        unstored(metas={"h1": meta("h1", state="failed", group_id="group")}),
        unstored(chord={"state": "failed"}),
    ],
)
def test_a_part_that_failed_otherwise_was_taken_by_the_backend(there: Case) -> None:
    assert "backend_write_failed" not in causes(there)


def test_a_result_that_was_stored_and_not_counted_is_named() -> None:
    verdict = said(uncounted(), "result_uncounted")

    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("hung", True, ("h1",))
    assert verdict.summary == "1 part ended and stored a result, and was never counted."
    assert verdict.evidence == (
        "zoo.add (index 1) h1 succeeded at 2026-11-20 15:44:03 UTC, as its result says.",
        "Celery waits for 2 parts and has counted 1, not these.",
    )
    assert causes(uncounted()) == ["result_uncounted"]
    assert causes(uncounted(91.0, nowhere_since={})) == ["result_uncounted"]


@pytest.mark.parametrize(
    "there",
    [
        uncounted(4.0),
        uncounted(89.0, nowhere_since={}),  # its worker's clock may be behind
        uncounted(places={"h1": AT_WORK}),
        uncounted(chord=open_chord(header=(header_task(1, state="succeeded", counted=True),))),
        uncounted(keys=keys(size=2, counted=2, parts=(part(0),), parts_complete=False)),
        uncounted(keys=keys(parts=(part(0),))),
        uncounted(result={"group_id": None}),
        uncounted(result={"state": "started"}),
        uncounted(chord=open_chord(state="succeeded")),
    ],
)
def test_a_result_that_is_about_to_be_counted_or_is_not_the_chords_is_not_named(there: Case) -> None:
    assert "result_uncounted" not in causes(there)


def test_a_callback_that_was_claimed_and_never_sent_is_missed() -> None:
    verdict = said(claimed(), "callback_claim_lost")

    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("hung", True, ("body",))
    assert verdict.summary == (
        "All 2 parts are counted, and the callback was never sent: the process that was to send it died."
    )
    assert "celery-taskset-meta-group.c) has expired" in verdict.evidence[1]
    assert "celery -A proj call zoo.collect" in verdict.remedy
    assert verdict.since == NOW - 60
    assert causes(claimed(keys=replace(FULL, claim="claimed"))) == ["callback_claim_lost"]
    assert causes(claimed(nowhere_since={})) == ["callback_claim_lost"]


@pytest.mark.parametrize(
    "there",
    [
        claimed(keys=replace(FULL, claim="done")),
        claimed(keys=replace(FULL, touched_at=NOW - 29), nowhere_since={}),
        claimed(keys=replace(FULL, claim="claimed"), nowhere_since={}),
        claimed(keys=keys(size=3, parts=(part(0), part(1)), touched_at=NOW - 60)),
        claimed(keys=keys(size=2, parts=(part(0), part(1, state="failed")), touched_at=NOW - 60)),
        claimed(who=consumers(alive(tasks=(HELD,)))),
        claimed(lives={"w1@zoo": (life(active=("h1",)),)}),
        claimed(places={"body": in_queue()}),
        claimed(chord={"callback": callback(published_at=NOW - 1)}),
        claimed(metas={"body": meta("body", state="started")}),
        claimed(chord={"state": "failed"}),
    ],
)
def test_a_callback_that_may_still_be_sent_is_not_missed(there: Case) -> None:
    assert "callback_claim_lost" not in causes(there)


def test_a_counter_that_a_second_run_used_up_sends_no_callback() -> None:
    verdict = said(counter(), "counter_overrun")

    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("hung", True, ("h1",))
    assert verdict.summary == (
        "The chord's counter is gone, and the callback was not sent: a part was counted twice."
    )
    assert verdict.evidence[1:] == (
        "1 part of the header had not ended.",
        "zoo.add (index 0) h0 ran 2 times.",
    )
    below = counter(started(1), remaining=-1, recorded=None)
    assert "stands at -1" in said(below, "counter_overrun").summary


@pytest.mark.parametrize(
    "there",
    [
        counter(remaining=1),
        counter(header_task(0, state="succeeded"), started(1)),
        counter(twice(0), header_task(1, state="succeeded")),  # the callback may have been sent unseen
        counter(chord={"callback": callback(published_at=NOW - 1)}),
        counter(keys=keys()),
        counter(chord={"state": "succeeded"}),
    ],
)
def test_a_counter_that_is_well_or_was_used_up_rightly_overran_nothing(there: Case) -> None:
    assert "counter_overrun" not in causes(there)


def test_workers_that_tell_everything_leave_no_callback_unseen() -> None:
    parts = (twice(0), header_task(1, state="succeeded"))
    complete = open_chord(header=parts, counted=2, progressed_at=NOW - 50)
    there = counter(*parts, recorded=RecordedChord(chord=complete), who=READ)

    assert "counter_overrun" in causes(replace(there, instrumented_only=True))
