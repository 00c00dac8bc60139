from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from chordwatch.diagnosis import diagnose
from chordwatch.diagnosis.causes import CAUSES
from chordwatch.diagnosis.rules import RULES
from chordwatch.evidence.facts import Consumers, Place
from chordwatch.model import Callback, Chord, HeaderTask, Verdict
from tests.unit.seen import NOW, W1, consumers, header_task, in_queue, open_chord

READ = consumers(W1)
SCHEDULED = Place(kind="scheduled", name="w1@zoo", eta=NOW + 7200, since=NOW - 6)
HELD_BACK = Place(kind="unacked", name="celery", eta=NOW + 7200, since=NOW - 6)


def verdicts(
    places: Mapping[str, Place], who: Consumers = READ, now: float = NOW, **fields: Any
) -> tuple[Verdict, ...]:
    return diagnose(open_chord(**fields), places, who, now)


def causes(*args: Any, **fields: Any) -> list[str]:
    return [verdict.cause for verdict in verdicts(*args, **fields)]


def failed(number: int, error: str = "ValueError: header boom", **fields: Any) -> HeaderTask:
    return header_task(
        number, **{"counted": True, "state": "failed", "error": error, "finished_at": NOW - 9, **fields}
    )


def test_a_header_task_in_a_queue_that_nobody_reads_is_hung() -> None:
    (verdict,) = verdicts({"h1": in_queue("nobody")})

    assert (verdict.cause, verdict.outcome, verdict.tasks) == ("queue_unconsumed", "hung", ("h1",))
    assert verdict.summary == "1 task of the header waits in queue nobody, which no worker reads."
    assert verdict.evidence == (
        "zoo.add (index 1) h1 is in queue nobody.",
        "Online at 2026-11-20 15:44:09 UTC: w1@zoo (reads celery).",
    )
    assert "-Q nobody" in verdict.remedy
    assert verdict.since == NOW - 60
    assert verdict.docs == "docs/causes.md#queue_unconsumed"


def test_a_verdict_that_rests_on_silence_is_not_certain_and_asks() -> None:
    (verdict,) = verdicts({"h1": in_queue("nobody")})

    assert not verdict.certain
    assert verdict.question == "Does a worker that is too busy to answer read the queue nobody?"


def test_a_header_task_in_a_queue_that_is_read_waits() -> None:
    (verdict,) = verdicts({"h1": in_queue()})

    assert (verdict.cause, verdict.outcome, verdict.certain) == ("queued", "waiting", True)
    assert verdict.question is None
    assert verdict.summary == "1 task waits in queue celery, which w1@zoo reads."


def test_the_callback_in_a_queue_that_nobody_reads_is_hung_under_a_name_of_its_own() -> None:
    (verdict,) = verdicts({"body": in_queue("nobody")})

    assert (verdict.cause, verdict.outcome, verdict.tasks) == ("callback_queue_unconsumed", "hung", ("body",))
    assert verdict.summary == "The callback zoo.collect waits in queue nobody, which no worker reads."


def test_the_callback_in_a_queue_that_is_read_waits() -> None:
    assert causes({"body": in_queue()}) == ["queued"]


def test_header_and_callback_in_unread_queues_are_told_apart() -> None:
    places = {"h1": in_queue("nobody"), "body": in_queue("nobody")}

    assert [(v.cause, v.tasks) for v in verdicts(places)] == [
        ("queue_unconsumed", ("h1",)),
        ("callback_queue_unconsumed", ("body",)),
    ]


def test_each_unread_queue_has_its_verdict() -> None:
    places = {"h0": in_queue("nobody"), "h1": in_queue("nowhere")}

    assert [v.tasks for v in verdicts(places)] == [("h0",), ("h1",)]


def test_without_any_worker_the_queue_is_not_to_blame() -> None:
    (verdict,) = verdicts({"h1": in_queue()}, consumers())

    assert (verdict.cause, verdict.outcome, verdict.tasks) == ("no_workers", "hung", ("h1",))
    assert not verdict.certain
    assert verdict.question is not None
    assert verdict.summary == "1 task waits in queue celery, and no worker is online."


def test_workers_that_were_not_asked_are_not_said_to_be_missing() -> None:
    assert causes({"h1": in_queue()}, Consumers()) == []


def test_without_a_worker_and_without_a_waiting_task_nobody_is_missed() -> None:
    assert causes({"h1": Place(kind="nowhere")}, consumers()) == []


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

    (verdict,) = verdicts({"h1": in_queue("other")}, who)

    assert verdict.cause == cause


def test_the_grace_counts_to_the_time_of_the_answer_and_not_to_now() -> None:
    who = consumers(W1, asked_at=NOW - 50, missing_since={"other": NOW - 60})

    assert causes({"h1": in_queue("other")}, who) == ["queued"]


def test_a_lost_consumer_dates_the_verdict() -> None:
    who = consumers(W1, missing_since={"other": NOW - 40})

    assert verdicts({"h1": in_queue("other")}, who)[0].since == NOW - 40


def test_the_grace_of_one_queue_is_not_that_of_another() -> None:
    who = consumers(W1, missing_since={"other": NOW - 1})

    assert causes({"h1": in_queue("nobody")}, who) == ["queue_unconsumed"]


@pytest.mark.parametrize("workers", [(W1,), ()])
def test_nothing_is_said_of_a_queue_that_the_workers_were_not_yet_asked_about(workers: Any) -> None:
    (verdict,) = verdicts({"h1": in_queue("other")}, consumers(*workers, unasked=frozenset({"other"})))

    assert verdict.cause == "queued"
    assert "have yet to be asked" in verdict.summary


def test_a_counted_part_that_raised_decides_the_chord() -> None:
    (verdict,) = verdicts({}, header=(failed(0), header_task(1)))

    assert (verdict.cause, verdict.outcome, verdict.tasks, verdict.certain) == (
        "header_failed",
        "failed",
        ("h0",),
        True,
    )
    assert verdict.summary == "zoo.add failed with ValueError: header boom; the callback will not run."
    assert verdict.since == NOW - 9


def test_a_finished_chord_tells_what_failed_as_well() -> None:
    (verdict,) = verdicts({}, state="failed", header=(failed(0), header_task(1)))

    assert verdict.summary.endswith("; the callback did not run.")


@pytest.mark.parametrize(
    "header",
    [
        (header_task(0, counted=True, state="succeeded"),),
        (failed(0, counted=False),),
        (failed(0, state="revoked"),),
        (failed(0, "WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL) Job: 1."),),
        (failed(0, "TaskRevokedError: revoked"),),
    ],
)
def test_a_part_that_ended_otherwise_is_no_failed_header(header: tuple[HeaderTask, ...]) -> None:
    assert causes({}, header=header) == []


def test_a_chord_that_succeeded_has_no_failed_header() -> None:
    assert causes({}, state="succeeded", header=(failed(0),)) == []


def test_many_failed_parts_are_counted_and_five_are_named() -> None:
    (verdict,) = verdicts({}, header=tuple(failed(number) for number in range(8)))

    assert len(verdict.tasks) == 8
    assert len(verdict.evidence) == 6
    assert verdict.evidence[-1] == "And 3 more."


def test_a_callback_that_raised_is_to_blame() -> None:
    callback = Callback(
        task_id="body",
        name="zoo.collect",
        state="failed",
        error="RuntimeError: body boom",
        finished_at=NOW - 1,
    )

    (verdict,) = verdicts({}, state="failed", callback=callback)

    assert (verdict.cause, verdict.outcome, verdict.tasks) == ("callback_failed", "failed", ("body",))
    assert verdict.summary == "The callback zoo.collect failed with RuntimeError: body boom."
    assert "chords results group." in verdict.remedy
    assert verdict.since == NOW - 1


@pytest.mark.parametrize(
    "callback",
    [
        Callback(task_id="body", state="succeeded"),
        Callback(task_id="body", state="started"),
        Callback(task_id="body", state="failed", error="ChordError: Dependency h1 raised ValueError('x')"),
        Callback(task_id="body", state="failed", error="NotRegistered: 'zoo.body'"),
    ],
)
def test_a_callback_that_did_not_raise_itself_is_not_to_blame(callback: Callback) -> None:
    assert "callback_failed" not in causes({}, state="failed", callback=callback)


def test_a_retry_two_hours_away_waits_until_then() -> None:
    (verdict,) = verdicts({"h1": replace(SCHEDULED, attempt=1)})

    assert (verdict.cause, verdict.outcome, verdict.certain) == ("retry_scheduled", "waiting", True)
    assert verdict.recovers_at == NOW + 7200
    assert verdict.since == NOW - 6
    assert verdict.summary == "1 task waits for a retry, due 2026-11-20 17:44:09 UTC."
    assert verdict.evidence == (
        "zoo.add (index 1) h1 is held back by w1@zoo, attempt 2, due 2026-11-20 17:44:09 UTC.",
    )


def test_a_first_attempt_with_a_countdown_waits_for_its_eta() -> None:
    (verdict,) = verdicts({"h1": SCHEDULED})

    assert (verdict.cause, verdict.outcome, verdict.recovers_at) == ("eta_scheduled", "waiting", NOW + 7200)


def test_a_time_that_only_the_message_tells_is_not_certain() -> None:
    (verdict,) = verdicts({"h1": HELD_BACK})

    assert (verdict.cause, verdict.certain) == ("eta_scheduled", False)
    assert verdict.question is not None


@pytest.mark.parametrize(
    ("after", "outcome"), [(-1, "waiting"), (10, "waiting"), (10.1, "late"), (9999, "late")]
)
@pytest.mark.parametrize("attempt", [0, 2])
def test_a_time_that_has_passed_is_late_after_ten_seconds(after: float, outcome: str, attempt: int) -> None:
    (verdict,) = verdicts({"h1": replace(SCHEDULED, attempt=attempt)}, now=NOW + 7200 + after)

    assert verdict.outcome == outcome


def test_an_eta_in_a_queue_that_is_read_counts_until_it_has_passed() -> None:
    assert causes({"h1": in_queue(eta=NOW + 60)}) == ["eta_scheduled"]
    assert causes({"h1": in_queue(eta=NOW - 60)}) == ["queued"]


def test_an_eta_in_a_queue_that_nobody_reads_does_not_excuse_it() -> None:
    assert causes({"h1": in_queue("nobody", eta=NOW + 60)}) == ["queue_unconsumed"]


def test_the_last_of_several_times_is_when_the_chord_recovers() -> None:
    (verdict,) = verdicts({"h0": SCHEDULED, "h1": replace(SCHEDULED, eta=NOW + 9)})

    assert (verdict.recovers_at, verdict.summary) == (
        NOW + 7200,
        "2 tasks wait for their ETA, due 2026-11-20 17:44:09 UTC.",
    )


def test_a_reserved_task_waits_for_a_slot() -> None:
    (verdict,) = verdicts({"h1": Place(kind="reserved", name="w1@zoo")})

    assert (verdict.cause, verdict.outcome) == ("queued", "waiting")
    assert verdict.summary == "1 task waits for a free slot of worker w1@zoo."


def test_a_running_header_task_is_well() -> None:
    (verdict,) = verdicts({"h1": Place(kind="active", name="w1@zoo", since=NOW - 3)})

    assert (verdict.cause, verdict.outcome, verdict.since) == ("header_running", "ok", NOW - 3)
    assert verdict.summary == "1 task runs on w1@zoo."


def test_a_running_callback_is_no_running_header() -> None:
    assert causes({"body": Place(kind="active", name="w1@zoo", since=NOW - 3)}) == []


@pytest.mark.parametrize(
    "place",
    [Place(kind="nowhere"), Place(kind="unknown"), Place(kind="unacked", name="celery", since=NOW - 9999)],
)
def test_what_the_evidence_does_not_explain_gets_no_verdict(place: Place) -> None:
    assert causes({"h1": place}) == []


def test_several_causes_stand_in_the_order_in_which_a_person_should_read_them() -> None:
    places = {
        "h1": Place(kind="active", name="w1@zoo"),
        "h2": in_queue(),
        "h3": SCHEDULED,
        "h4": replace(SCHEDULED, attempt=1),
        "h5": in_queue("nobody"),
    }

    assert causes(places, header=(failed(0),)) == [
        "queue_unconsumed",
        "header_failed",
        "retry_scheduled",
        "eta_scheduled",
        "queued",
        "header_running",
    ]


def test_every_cause_of_the_catalogue_has_a_rule_and_every_rule_a_cause() -> None:
    assert [rule.__name__ for rule in RULES] == list(CAUSES)


HOSTILE = "x\n\x1b[31m\u202e[bold]" + "y" * 10_240


def hostile_chord() -> Chord:
    return open_chord(
        chord_id=HOSTILE,
        header=(
            header_task(0, task_id=HOSTILE + "0", name=HOSTILE, counted=True, state="failed", error=HOSTILE),
            header_task(1, task_id=HOSTILE + "1", name=HOSTILE),
        ),
        callback=Callback(task_id=HOSTILE, name=HOSTILE, state="failed", error=HOSTILE),
    )


@pytest.mark.parametrize(
    "place",
    [
        in_queue(HOSTILE),
        in_queue(HOSTILE + "read"),
        Place(kind="active", name=HOSTILE),
        Place(kind="reserved", name=HOSTILE),
        replace(SCHEDULED, name=HOSTILE),
    ],
)
@pytest.mark.parametrize("workers", [(replace(W1, hostname=HOSTILE, queues=(HOSTILE + "read",)),), ()])
def test_hostile_names_are_shortened_and_shown_literally(place: Place, workers: Any) -> None:
    found = diagnose(hostile_chord(), {HOSTILE + "1": place, HOSTILE: place}, consumers(*workers), NOW)

    assert found
    for verdict in found:
        for text in (verdict.summary, *verdict.evidence, verdict.remedy, verdict.question or ""):
            assert len(text) < 700
            assert text.isprintable()


def test_a_remedy_can_be_pasted_into_a_shell() -> None:
    (verdict,) = verdicts({"h1": in_queue("low; rm -rf ~")})

    assert "-Q 'low; rm -rf ~'" in verdict.remedy


def test_a_header_of_a_hundred_thousand_tasks_is_named_in_short() -> None:
    header = tuple(header_task(number) for number in range(100_000))
    places = {f"h{number}": in_queue("nobody") for number in range(100_000)}

    (verdict,) = verdicts(places, header=header, size=100_000, counted=0)

    assert len(verdict.tasks) == 100_000
    assert len(verdict.evidence) == 7
    assert verdict.summary.startswith("100,000 tasks of the header wait ")
