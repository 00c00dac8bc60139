from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chordwatch.diagnosis import Case
from chordwatch.evidence.facts import Place
from chordwatch.model import Attempt, Chord, HeaderTask, Verdict
from tests.unit.judged import NOWHERE, callback, case, causes, said, started, told
from tests.unit.seen import NOW, header_task, in_queue, keys, meta, open_chord, part


def ignored(error: str | None = None, **fields: Any) -> HeaderTask:
    run = Attempt(
        attempt=0, state="ignored", worker="w1@zoo", started_at=NOW - 60, finished_at=NOW - 50, error=error
    )
    usual = {"state": "ignored", "worker": "w1@zoo", "finished_at": NOW - 50, "attempts": (run,)}
    return header_task(1, **{**usual, **fields})


def test_a_task_that_was_ignored_is_never_counted() -> None:
    verdict = said(told({}, ignored()), "header_ignored")

    assert (verdict.outcome, verdict.tasks, verdict.certain) == ("hung", ("h1",), True)
    assert (
        verdict.summary
        == "1 task of the header raised Ignore(): Celery does not count a task that is ignored."
    )
    assert verdict.evidence == (
        "zoo.add (index 1) h1 ended as ignored on w1@zoo at 2026-11-20 15:43:19 UTC.",
    )
    assert verdict.since == NOW - 50


def rejected(error: str | None) -> HeaderTask:
    (run,) = ignored(error).attempts
    return ignored(state="rejected", error=error, attempts=(replace(run, state="rejected"),))


def test_before_celery_5_7_nor_is_one_that_rejects_its_message_for_good() -> None:
    verdict = said(told({}, rejected("Reject: for good")), "header_ignored")

    assert verdict.summary == (
        "1 task of the header raised Reject(requeue=False): before 5.7 Celery does not count a task that rejects its "
        "message."
    )
    assert verdict.evidence == (
        "zoo.add (index 1) h1 ended as rejected on w1@zoo at 2026-11-20 15:43:19 UTC.",
    )


@pytest.mark.parametrize(
    "there",
    [
        told({}, rejected(None)),  # its message is put back
        told({}, ignored("Ignore: Replaced by new task")),
        told({}, ignored(), related={"h1": open_chord(chord_id="inner", callback=callback(task_id="h1"))}),
        told({"h1": in_queue()}, ignored()),
        told({}, ignored(counted=True)),
        told({}, started(attempts=(*ignored().attempts, *started().attempts))),
        told({}, ignored(), chord={"state": "succeeded"}),
    ],
)
def test_a_task_that_was_replaced_or_goes_on_is_not_ignored(there: Case) -> None:
    assert "header_ignored" not in causes(there)


QUOTED = "ChordError: Dependency i1 raised ValueError('inner boom')"
CULPRIT = header_task(1, task_id="i1", name="zoo.boom", state="failed", error="ValueError: inner boom")
INNER = open_chord(
    chord_id="inner", state="failed", callback=callback(task_id="h1", state="failed"), header=(CULPRIT,)
)


def nested(inner: Chord | None = INNER, **fields: Any) -> Case:
    result = {"state": "failed", "error_type": "ChordError", "error": QUOTED, **fields.pop("result", {})}
    usual: dict[str, Any] = {
        "metas": {"h1": meta("h1", **result)},
        "related": {"h1": inner} if inner else {},
        "keys": keys(size=2, parts=(part(0),)),
    }
    return case({"h1": NOWHERE}, **{**usual, **fields})


def test_an_inner_chord_that_failed_is_named_with_its_culprit() -> None:
    verdict = said(nested(), "nested_chord_failed")

    assert (verdict.outcome, verdict.tasks, verdict.certain) == ("hung", ("h1",), True)
    assert verdict.summary == (
        "The chord inner inside the header failed; Celery tells its callback, but not this chord, which waits for it."
    )
    assert verdict.evidence == (
        f"zoo.add (index 1) h1 has the result {QUOTED}, and is not counted.",
        "In it zoo.boom i1 ended with ValueError: inner boom.",
    )
    assert verdict.since == NOW - 5
    assert causes(nested()) == ["nested_chord_failed"]


def test_the_result_alone_tells_of_an_inner_chord_that_nobody_knows() -> None:
    assert said(nested(None), "nested_chord_failed").summary.startswith("A chord inside the header failed;")


def test_a_failed_inner_chord_tells_of_itself_when_the_part_is_lost() -> None:
    assert causes(nested(metas={}, nowhere_since={"h1": NOW - 5})) == ["nested_chord_failed"]
    assert "nested_chord_failed" not in causes(nested(metas={}))


@pytest.mark.parametrize(
    "there",
    [
        # A task raised it, and is about to be counted.
        nested(result={"group_id": "group", "finished_at": NOW - 1}),
        nested(None, result={"error_type": "ValueError"}),
        nested(chord=open_chord(header=(header_task(1, counted=True, state="failed", error=QUOTED),))),
        nested(chord=open_chord(state="failed")),
        nested(replace(INNER, header=()), metas={}, nowhere_since={"h1": NOW - 5}),
    ],
)
def test_what_is_no_inner_chord_is_not_called_one(there: Case) -> None:
    assert "nested_chord_failed" not in causes(there)


def test_a_chain_that_failed_before_the_chord_is_named() -> None:
    before = HeaderTask(
        index=None,
        task_id="a1",
        name="zoo.fetch",
        state="failed",
        error="ValueError: no",
        finished_at=NOW - 70,
    )

    verdict = said(case({}, chord=open_chord(state="planned"), upstream=before), "upstream_failed")

    assert (verdict.outcome, verdict.tasks, verdict.certain) == ("hung", ("a1",), True)
    assert verdict.summary == (
        "The chain failed before this chord: zoo.fetch ended with ValueError: no; the chord is never sent."
    )
    assert verdict.evidence == ("zoo.fetch a1 ended at 2026-11-20 15:42:59 UTC with ValueError: no.",)
    assert verdict.since == NOW - 70
    assert causes(case({}, chord=open_chord(state="planned"))) == []
    assert causes(case({}, upstream=before)) == []


HELD = Verdict(
    cause="queue_unconsumed",
    outcome="hung",
    certain=False,
    tasks=("i0",),
    summary="1 task of the header waits in queue gpu, which no worker reads.",
    evidence=("zoo.add i0 is in queue gpu.",),
    remedy="Start a worker that reads the queue.",
    question="Does a busy worker read it?",
    since=NOW - 90,
    docs="docs/causes.md#queue_unconsumed",
)
OPEN = open_chord(chord_id="inner", callback=callback(task_id="h1", name="zoo.join"))


def outer(inner: Chord, **fields: Any) -> Case:
    return case({"h1": NOWHERE}, **{"related": {"h1": inner}, **fields})


def test_an_outer_chord_names_what_holds_the_inner_one() -> None:
    verdict = said(outer(replace(OPEN, verdicts=(HELD,))), "blocked_by_chord")

    assert (verdict.outcome, verdict.tasks, verdict.certain) == ("hung", ("h1",), False)
    assert verdict.summary == (
        "zoo.add (index 1) h1 is the callback zoo.join of the chord inner, which is 1 of 2: " + HELD.summary
    )
    assert verdict.evidence[1:] == HELD.evidence
    assert (verdict.question, verdict.since, verdict.remedy) == (HELD.question, HELD.since, HELD.remedy)


def test_that_the_inner_chord_waits_in_a_queue_nobody_reads_is_said_once() -> None:
    unsent = case({"h1": Place(kind="unsent", name="inner")}, related={"h1": replace(OPEN, verdicts=(HELD,))})

    assert causes(unsent) == ["blocked_by_chord"]


def test_an_outer_chord_is_as_well_as_the_inner_one() -> None:
    due = replace(HELD, outcome="waiting", certain=True, question=None, recovers_at=NOW + 60)
    waits = said(outer(replace(OPEN, verdicts=(due,))), "blocked_by_chord")

    assert (waits.outcome, waits.certain, waits.recovers_at) == ("waiting", True, NOW + 60)
    assert said(outer(OPEN), "blocked_by_chord").outcome == "waiting"


def test_a_part_that_an_open_chord_ends_with_is_explained_by_it() -> None:
    assert causes(outer(OPEN, nowhere_since={"h1": NOW - 5})) == ["blocked_by_chord"]


@pytest.mark.parametrize(
    "there",
    [
        outer(replace(OPEN, state="succeeded")),
        outer(open_chord()),
        outer(OPEN, chord=open_chord(state="failed")),
        case({"h1": in_queue()}, related={"h1": replace(OPEN, counted=2, size=2)}),
        # It is ahead in a chain, whose first step is in the queue.
        case({"h1": in_queue()}, related={"h1": replace(OPEN, state="planned")}),
    ],
)
def test_a_chord_that_is_done_blocks_nothing(there: Case) -> None:
    assert "blocked_by_chord" not in causes(there)
