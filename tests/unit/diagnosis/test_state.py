from __future__ import annotations

from dataclasses import replace

import pytest

from chordwatch.diagnosis import Case
from chordwatch.evidence.facts import Limits, Place, Server
from tests.unit.diagnosis.state_told import (
    AT_WORK,
    BOTH,
    CLEAN,
    REFUSED,
    RUNS,
    apart,
    happened,
    lost,
    unstored,
)
from tests.unit.judged import callback, case, causes, said, started
from tests.unit.recorded import ran
from tests.unit.seen import NOW, header_task, in_queue, keys, meta, open_chord, part


@pytest.mark.parametrize(
    ("backend", "cause", "how"),
    [
        (happened("flushed"), "chord_state_flushed", "the result backend was flushed"),
        (happened("restarted"), "chord_state_flushed", "the result backend was restarted"),
        (happened("evicted"), "chord_state_evicted", "the result backend evicted keys"),
        (
            happened("role_changed"),
            "chord_state_lost",
            "the result backend changed its role, as in a failover",
        ),
        (replace(CLEAN, flushes=1), "chord_state_flushed", "the result backend was flushed"),
        (replace(CLEAN, evicted_keys=11), "chord_state_evicted", "the result backend evicts keys"),
        (replace(CLEAN, started_at=NOW - 50), "chord_state_flushed", "the result backend was restarted"),
        (CLEAN, "chord_state_lost", "the result backend tells no reason"),
    ],
)
def test_a_size_that_is_gone_is_explained_by_what_happened_to_the_server(
    backend: Server, cause: str, how: str
) -> None:
    there = lost(backend=backend)
    verdict = said(there, cause)

    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("hung", True, ("h0",))
    assert verdict.summary == f"The size of the chord is gone: {how}. Nothing will send the callback."
    assert verdict.evidence[0] == (
        "The result backend holds no size of the chord, and 1 part; by what was recorded 2 of 2 were counted."
    )
    assert causes(there) == [cause]


def test_keys_that_lived_shorter_than_the_gap_between_two_parts_have_expired() -> None:
    there = lost(limits=Limits(chord_expires=10.0))

    verdict = said(there, "chord_state_expired")
    assert verdict.certain
    assert verdict.summary == (
        "The size of the chord is gone: its keys live for 10 s after each part, and 15 s passed without one. "
        "Nothing will send the callback."
    )
    assert (
        verdict.evidence[1]
        == "No part was counted between 2026-11-20 15:43:14 UTC and 2026-11-20 15:43:29 UTC."
    )
    assert causes(there) == ["chord_state_expired"]
    assert causes(lost(limits=Limits(chord_expires=15.1))) == ["chord_state_lost"]


def test_keys_that_are_all_gone_have_expired_as_well() -> None:
    assert causes(lost(keys=keys(), limits=Limits(chord_expires=10.0))) == ["chord_state_expired"]


def test_a_part_that_still_runs_may_have_run_too_long() -> None:
    there = lost(
        ran(0, finished_at=NOW - 40),
        started(1),
        places={"h1": Place(kind="active", name="w1@zoo", since=NOW - 60)},
        keys=keys(),
        limits=Limits(chord_expires=30.0),
    )

    verdict = said(there, "chord_state_expired")
    assert (verdict.certain, verdict.tasks, verdict.since) == (True, ("h0",), NOW - 10)


def test_two_reasons_are_two_candidates_with_a_question_each() -> None:
    there = lost(backend=replace(CLEAN, evicted_keys=11, flushes=1, maxmemory_policy="allkeys-lru"))

    assert causes(there) == ["chord_state_flushed", "chord_state_evicted"]
    asked = [said(there, cause).question or "" for cause in causes(there)]
    assert "FLUSHDB" in asked[0]
    assert "evicted_keys" in asked[1]
    assert not said(there, "chord_state_evicted").certain


def test_who_flushes_takes_the_parts_along() -> None:
    whole = lost(keys=keys(parts=(part(0), part(1))), backend=replace(CLEAN, flushes=1))

    assert "chord_state_flushed" not in causes(whole)


def test_a_size_alone_may_have_been_written_elsewhere() -> None:
    whole = lost(keys=keys(parts=(part(0), part(1))))

    assert causes(whole) == ["chord_state_lost", "backend_mismatch"]
    assert not said(whole, "chord_state_lost").certain
    assert said(whole, "backend_mismatch").question == (
        "Does the producer use the same result_backend and key prefix as the workers?"
    )


def test_what_happened_before_the_chord_was_sent_is_not_to_blame() -> None:
    assert causes(lost(backend=happened("flushed", ago=61.0))) == ["chord_state_lost"]


@pytest.mark.parametrize(
    "there",
    [
        lost(keys=keys(claim="done", parts=(part(1),))),
        lost(keys=keys(claim="claimed", parts=(part(1),))),
        lost(keys=keys(parts=(part(1, state="failed"),))),  # Celery deletes the size with a ChordError
        lost(keys=keys(size=2, parts=(part(0), part(1)), claim="claimed")),
        lost(keys=None),
        lost(chord={"callback": callback(published_at=NOW - 1)}),
        lost(chord={"callback": callback(state="started")}),
        lost(places={"body": in_queue()}),
        lost(metas={"body": meta("body")}),
        lost(chord={"state": "succeeded"}),
        # The producer told nothing: it may not have written the size yet.
        lost(known=open_chord(header=BOTH, size=None)),
        # Workers that tell nothing may have run the rest, sent the callback, and a duplicate came late.
        lost(ran(0), header_task(1), keys=keys(parts=(part(0),)), backend=happened("flushed")),
        # It may have ended since the record was read (Celery up to 5.6 leaves no mark).
        lost(*RUNS, places={"h1": AT_WORK}, keys=keys(), chord={"progressed_at": NOW - 1}),
    ],
)
def test_a_chord_that_may_be_well_has_lost_nothing(there: Case) -> None:
    assert not [cause for cause in causes(there) if cause.startswith(("chord_state", "backend"))]


def test_bare_a_server_that_was_flushed_raises_the_question() -> None:
    chord = open_chord(size=None, header=(header_task(0, state="succeeded"), header_task(1, counted=True)))
    results = {"h0": meta("h0", group_id="group"), "h1": meta("h1", group_id="group")}
    there = case(
        {}, chord=chord, keys=keys(parts=(part(1),)), metas=results, backend=replace(CLEAN, flushes=1)
    )

    verdict = said(there, "chord_state_flushed")
    assert not verdict.certain
    assert causes(replace(there, backend=CLEAN)) == []


def test_parts_that_ended_elsewhere_are_not_in_the_backend_that_waits_for_them() -> None:
    verdict = said(apart(), "backend_mismatch")

    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("hung", True, ("h0", "h1"))
    assert (
        verdict.summary == "2 parts ended on w1@zoo, but not in the result backend that has the chord's size."
    )
    assert verdict.evidence[0] == (
        "The result backend waits for 2 parts and has counted 0; by what was recorded 2 of 2 were counted."
    )
    assert causes(apart()) == ["backend_mismatch"]


def test_one_worker_may_write_elsewhere() -> None:
    there = apart(ran(0), ran(1, worker="w2@zoo"), keys=keys(size=2, parts=(part(0),)))

    assert "ended on w2@zoo" in said(there, "backend_mismatch").summary


def test_a_backend_that_evicts_may_have_lost_the_parts() -> None:
    there = apart(backend=replace(CLEAN, evicted_keys=3))

    assert causes(there) == ["chord_state_evicted", "backend_mismatch"]
    assert not said(there, "backend_mismatch").certain


@pytest.mark.parametrize(
    "there",
    [
        apart(keys=keys(size=2, parts=(part(0), part(1)))),
        apart(ran(0), started(1), keys=keys(size=2, parts=(part(0),))),
        apart(header_task(0), header_task(1)),
        apart(keys=keys(size=2, counted=2, parts=(), parts_complete=False)),
        apart(keys=keys(size=2, claim="done")),
    ],
)
def test_parts_that_are_there_or_did_not_end_are_not_elsewhere(there: Case) -> None:
    assert "backend_mismatch" not in causes(there)


def test_an_end_that_the_backend_did_not_take_is_never_counted() -> None:
    verdict = said(unstored(), "backend_write_failed")

    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("hung", True, ("h1",))
    assert (
        verdict.summary
        == f"1 part ran to the end, and the result backend did not take the result: {REFUSED}."
    )
    assert (
        "ended on w1@zoo at 2026-11-20 15:43:19 UTC; storing the end raised OutOfMemory"
        in verdict.evidence[0]
    )
    assert "result_backend_always_retry" in verdict.remedy
    assert verdict.since == NOW - 50
