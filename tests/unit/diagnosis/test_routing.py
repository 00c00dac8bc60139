from __future__ import annotations

from typing import Any

import pytest

from chordwatch.evidence.facts import Consumers
from chordwatch.model import Attempt
from tests.unit.judged import READ, alive, case, causes, dead, life, said
from tests.unit.seen import NOW, W1, consumers, header_task, in_queue, open_chord


def test_a_header_task_in_a_queue_that_nobody_reads_is_hung() -> None:
    verdict = said(case({"h1": in_queue("nobody")}), "queue_unconsumed")

    assert (verdict.outcome, verdict.tasks) == ("hung", ("h1",))
    assert verdict.summary == "1 task of the header waits in queue nobody, which no worker reads."
    assert verdict.evidence == (
        "zoo.add (index 1) h1 is in queue nobody.",
        "Online at 2026-11-20 15:44:09 UTC: w1@zoo (reads celery).",
    )
    assert "-Q nobody" in verdict.remedy
    assert verdict.since == NOW - 60
    assert verdict.docs == "docs/causes.md#queue_unconsumed"


def test_a_verdict_that_rests_on_silence_is_not_certain_and_asks() -> None:
    verdict = said(case({"h1": in_queue("nobody")}), "queue_unconsumed")

    assert not verdict.certain
    assert verdict.question == "Does a worker that is too busy to answer read the queue nobody?"


@pytest.mark.parametrize(
    ("task", "cause"), [("h1", "queue_unconsumed"), ("body", "callback_queue_unconsumed")]
)
def test_where_every_worker_beats_each_has_told_what_it_reads(task: str, cause: str) -> None:
    heard = case({task: in_queue("nobody")}, lives={"w1@zoo": (life(),)}, instrumented_only=True)

    verdict = said(heard, cause)
    assert (verdict.certain, verdict.question) == (True, None)
    assert causes(heard) == [cause]


def test_the_callback_in_a_queue_that_nobody_reads_is_hung_under_a_name_of_its_own() -> None:
    verdict = said(case({"body": in_queue("nobody")}), "callback_queue_unconsumed")

    assert (verdict.outcome, verdict.tasks) == ("hung", ("body",))
    assert verdict.summary == "The callback zoo.collect waits in queue nobody, which no worker reads."


def test_header_and_callback_in_unread_queues_are_told_apart() -> None:
    both = case({"h1": in_queue("nobody"), "body": in_queue("nobody")})

    assert said(both, "queue_unconsumed").tasks == ("h1",)
    assert said(both, "callback_queue_unconsumed").tasks == ("body",)


def test_each_unread_queue_has_its_verdict() -> None:
    places = {"h0": in_queue("nobody"), "h1": in_queue("nowhere")}

    assert causes(case(places)) == ["queue_unconsumed", "queue_unconsumed"]


@pytest.mark.parametrize(
    ("queue", "who"),
    [
        ("celery", READ),
        ("nobody", consumers()),
        ("nobody", Consumers()),
        ("nobody", consumers(W1, missing_since={"nobody": NOW - 29.9})),
        ("nobody", consumers(W1, unasked={"nobody": 0.0})),
        ("nobody", consumers(alive(queues=()))),
    ],
)
@pytest.mark.parametrize("task", ["h1", "body"])
def test_a_queue_that_is_read_or_may_be_or_that_nobody_could_read_is_not_blamed(
    task: str, queue: str, who: Consumers
) -> None:
    found = causes(case({task: in_queue(queue)}, who))

    assert not {"queue_unconsumed", "callback_queue_unconsumed"} & set(found)


@pytest.mark.parametrize(
    ("ago", "workers", "cause"),
    [
        (0.0, (W1,), "queued"),
        (29.9, (W1,), "queued"),
        (30.0, (W1,), "queue_unconsumed"),
        (29.9, (), "queued"),
        (30.0, (), "no_workers"),
    ],
)
def test_a_queue_that_lost_its_consumer_has_thirty_seconds(ago: float, workers: Any, cause: str) -> None:
    who = consumers(*workers, missing_since={"other": NOW - ago})

    assert causes(case({"h1": in_queue("other")}, who)) == [cause]


def test_the_grace_counts_to_the_time_of_the_answer_and_not_to_now() -> None:
    who = consumers(W1, asked_at=NOW - 50, missing_since={"other": NOW - 60})

    assert causes(case({"h1": in_queue("other")}, who)) == ["queued"]


def test_a_lost_consumer_dates_the_verdict() -> None:
    who = consumers(W1, missing_since={"other": NOW - 40})

    assert said(case({"h1": in_queue("other")}, who), "queue_unconsumed").since == NOW - 40


def test_the_grace_of_one_queue_is_not_that_of_another() -> None:
    who = consumers(W1, missing_since={"other": NOW - 1})

    assert causes(case({"h1": in_queue("nobody")}, who)) == ["queue_unconsumed"]


def test_a_remedy_can_be_pasted_into_a_shell() -> None:
    verdict = said(case({"h1": in_queue("low; rm -rf ~")}), "queue_unconsumed")

    assert "-Q 'low; rm -rf ~'" in verdict.remedy


def test_a_header_of_a_hundred_thousand_tasks_is_named_in_short() -> None:
    chord = open_chord(header=tuple(header_task(n) for n in range(100_000)), size=100_000, counted=0)
    places = {f"h{number}": in_queue("nobody") for number in range(100_000)}

    verdict = said(case(places, chord=chord), "queue_unconsumed")
    assert len(verdict.tasks) == 100_000
    assert len(verdict.evidence) == 7
    assert verdict.summary.startswith("100,000 tasks of the header wait ")


@pytest.mark.parametrize(("ago", "found"), [(29.0, ["queued"]), (31.0, ["queue_unconsumed"])])
def test_a_queue_from_which_a_part_was_just_taken_has_a_worker_that_restarts(
    ago: float, found: list[str]
) -> None:
    run = Attempt(attempt=0, state="succeeded", worker="w1@zoo", received_at=NOW - ago)
    taken = header_task(0, state="succeeded", counted=True, queue="nobody", attempts=(run,))
    waits = case({"h1": in_queue("nobody")}, chord=open_chord(header=(taken, header_task(1))))

    assert causes(waits) == found


def test_without_any_worker_only_a_queue_that_none_of_the_last_ones_read_is_to_blame() -> None:
    places = {"h0": in_queue(), "h1": in_queue("nobody")}
    ended = case(places, consumers(), lives={"w1@zoo": (dead(),)})

    verdict = said(ended, "queue_unconsumed")
    assert (verdict.tasks, verdict.certain) == (("h1",), False)
    assert verdict.evidence[-1] == "No worker is online; the last were: w1@zoo (reads celery)."
    assert said(ended, "no_workers").tasks == ("h0",)
    assert causes(case({"h1": in_queue("nobody")}, Consumers(), lives={"w1@zoo": (dead(),)})) == []
