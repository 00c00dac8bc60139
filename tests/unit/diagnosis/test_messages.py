from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chordwatch.diagnosis import Case
from chordwatch.diagnosis.rules.messages import DISPATCH_SILENCE
from chordwatch.diagnosis.wording import clock
from chordwatch.evidence.facts import Place, Server, ServerChange, WorkerTask
from chordwatch.model import Attempt, HeaderTask
from chordwatch.store.protocol import RecordedChord
from tests.unit.judged import NOWHERE, READ, alive, callback, case, causes, life, received, said, told
from tests.unit.seen import NOW, consumers, header_task, in_queue, keys, meta, open_chord, part

LOST = {"h1": NOW - 5}


def sent(number: int = 1, **fields: Any) -> HeaderTask:
    run = Attempt(attempt=0, state="published", published_at=NOW - 60)
    usual = {"state": "published", "queue": "celery", "published_at": NOW - 60, "attempts": (run,)}
    return header_task(number, **{**usual, **fields})


def ended(state: Any, error: str | None, **run: Any) -> HeaderTask:
    usual = {"attempt": 0, "state": state, "worker": "w1@zoo", "finished_at": NOW - 40, "error": error}
    attempt = Attempt(**{**usual, **run})
    return header_task(
        1, state=state, worker="w1@zoo", error=error, finished_at=NOW - 40, attempts=(attempt,)
    )


def unread(task: HeaderTask | None = None, place: Place = NOWHERE, **fields: Any) -> Case:
    usual: dict[str, Any] = {"instrumented_only": True, "nowhere_since": LOST, "lives": {"w1@zoo": (life(),)}}
    return told({"h1": place}, task or sent(), **{**usual, **fields})


def test_a_message_that_no_worker_received_and_no_queue_has_is_lost() -> None:
    verdict = said(unread(), "message_lost")

    assert (verdict.outcome, verdict.tasks, verdict.certain) == ("hung", ("h1",), True)
    assert verdict.summary == "1 message got lost: published, received by no worker, and in no queue."
    assert verdict.evidence == (
        (
            "zoo.add (index 1) h1 was published to queue celery at 2026-11-20 15:43:09 UTC; no worker received it, "
            "and it has been in no queue and at no worker since 2026-11-20 15:44:04 UTC."
        ),
    )
    assert verdict.since == NOW - 60
    assert causes(unread()) == ["message_lost"]


def test_a_worker_that_is_stopped_may_be_about_to_receive_it() -> None:
    stopped = life(last_beat_at=NOW - 6)
    other = life("w2@zoo", queues=("other",), last_beat_at=NOW - 6)

    assert causes(unread(lives={"w1@zoo": (stopped,)})) == []
    assert causes(unread(lives={"w1@zoo": (life(),), "w2@zoo": (other,)})) == ["message_lost"]


@pytest.mark.parametrize(("beat", "found"), [(NOW - 4, []), (NOW - 3.1, []), (NOW - 2.9, ["message_lost"])])
def test_what_a_busy_worker_received_may_be_on_its_way_to_the_store(beat: float, found: list[str]) -> None:
    """It was missed 5 s ago."""
    assert causes(unread(lives={"w1@zoo": (life(last_beat_at=beat),)})) == found


def test_what_happened_to_the_broker_since_is_evidence() -> None:
    flushed = ServerChange(kind="flushed", since=NOW - 50, until=NOW - 40, text="FLUSHDB ran once.")

    verdict = said(unread(broker=Server(changes=(flushed,))), "message_lost")

    assert verdict.evidence[-1] == "The broker: FLUSHDB ran once."
    old = replace(flushed, since=NOW - 90, until=NOW - 80)
    assert len(said(unread(broker=Server(changes=(old,))), "message_lost").evidence) == 1


def test_a_callback_can_get_lost_as_well() -> None:
    body = callback(state="published", published_at=NOW - 60, queue="celery")
    gone = told(
        {"body": NOWHERE}, chord={"callback": body}, nowhere_since={"body": NOW - 5}, instrumented_only=True
    )

    assert said(gone, "message_lost").tasks == ("body",)


@pytest.mark.parametrize(
    "there",
    [
        unread(nowhere_since={}),
        unread(place=in_queue()),
        unread(place=Place(kind="unacked", name="celery", since=NOW - 1)),
        unread(received()),
        unread(instrumented_only=False),
        unread(chord={"state": "failed"}),
    ],
)
def test_a_message_that_may_be_somewhere_is_not_lost(there: Case) -> None:
    assert "message_lost" not in causes(there)


def test_a_callback_that_workers_run_without_telling_is_not_lost() -> None:
    body = callback(state="published", published_at=NOW - 60)
    gone = told({"body": NOWHERE}, chord={"callback": body}, nowhere_since={"body": NOW - 5})

    assert causes(gone) == []


UNKNOWN = "NotRegistered: 'zoo.only_in_producer'"


def test_a_task_that_the_worker_does_not_know_is_never_counted() -> None:
    verdict = said(unread(ended("failed", UNKNOWN), nowhere_since={}), "header_unregistered")

    assert (verdict.outcome, verdict.tasks, verdict.certain) == ("hung", ("h1",), True)
    assert verdict.summary == (
        "zoo.add is not registered on the worker that received it; the message was thrown away and the part is "
        "never counted."
    )
    assert verdict.evidence == (
        f"zoo.add (index 1) h1 was refused by w1@zoo at 2026-11-20 15:43:29 UTC: {UNKNOWN}.",
    )
    assert verdict.since == NOW - 40


def refused(**result: Any) -> Case:
    known = meta("h1", **{"state": "failed", "error_type": "NotRegistered", "error": UNKNOWN, **result})
    task = header_task(1, state="failed", error=UNKNOWN, finished_at=NOW - 5)
    chord = open_chord(header=(header_task(0, counted=True, state="succeeded"), task))
    return case({"h1": NOWHERE}, chord=chord, metas={"h1": known}, keys=keys(size=2, parts=(part(0),)))


def test_bare_a_stored_refusal_without_a_group_is_enough() -> None:
    verdict = said(refused(), "header_unregistered")

    assert verdict.certain
    assert causes(refused()) == ["header_unregistered"]


def test_a_none_in_the_header_is_called_so() -> None:
    nameless = replace(ended("failed", "NotRegistered: None"), name=None)

    assert (
        "a None among the header's signatures" in said(unread(nameless), "header_unregistered").evidence[-1]
    )


@pytest.mark.parametrize(
    "there",
    [
        # The task itself raised it: its result names the group, and it is about to be counted.
        refused(group_id="group", finished_at=NOW - 1),
        unread(ended("failed", "ValueError: NotRegistered")),
        # Somebody has sent it again.
        unread(ended("failed", UNKNOWN), place=in_queue()),
    ],
)
def test_another_failure_is_no_refusal(there: Case) -> None:
    assert "header_unregistered" not in causes(there)


UNREADABLE = "ContentDisallowed: Refusing to deserialize untrusted content of type pickle"


def test_a_message_that_the_worker_could_not_read_is_gone() -> None:
    verdict = said(unread(ended("rejected", UNREADABLE), nowhere_since={}), "header_undecodable")

    assert (verdict.outcome, verdict.tasks, verdict.certain) == ("hung", ("h1",), True)
    assert verdict.summary == (
        f"1 task waits for ever: the worker could not read the message and threw it away ({UNREADABLE})."
    )


@pytest.mark.parametrize(
    "task",
    [
        ended("rejected", None, started_at=NOW - 41),  # Reject(requeue=True)
        ended("failed", UNREADABLE),
        sent(attempts=(ended("rejected", UNREADABLE).attempts[0], sent().attempts[0])),
    ],
)
def test_a_task_that_rejected_itself_or_was_sent_again_was_read(task: HeaderTask) -> None:
    assert "header_undecodable" not in causes(unread(task))


def half(size: int | None = None, error: Any = (NOW - 30, "EncodeError: x"), **fields: Any) -> Case:
    header = (header_task(0, counted=True, state="succeeded"), sent(1))
    chord = open_chord(header=header, size=size, **fields.pop("chord", {}))
    known = RecordedChord(chord=chord, applied=1, dispatch_error=error)
    places = fields.pop("places", {"h1": Place(kind="active", name="w1@zoo", since=NOW - 3)})
    return case(places, chord=chord, recorded=known, **fields)


def test_a_producer_that_failed_midway_leaves_a_chord_that_cannot_end() -> None:
    verdict = said(half(), "partial_dispatch")

    assert (verdict.outcome, verdict.tasks, verdict.certain) == ("hung", (), True)
    assert verdict.summary == "The producer failed after 2 messages of the header: EncodeError: x."
    assert verdict.evidence == (
        "The dispatch ended at 2026-11-20 15:43:39 UTC with EncodeError: x.",
        "2 messages were sent; the size, which is written before the last one, was not.",
    )
    assert verdict.since == NOW - 30


def test_a_producer_can_fail_with_the_last_message() -> None:
    assert said(half(size=3), "partial_dispatch").evidence[1] == "2 messages of 3 were sent."


@pytest.mark.parametrize(
    "there",
    [
        half(error=None),
        half(size=2),  # all were sent after all, with a second dispatch
        half(chord={"state": "failed"}),
        half(chord={"callback": callback(published_at=NOW - 1)}),
    ],
)
def test_a_dispatch_that_reached_its_end_is_whole(there: Case) -> None:
    assert "partial_dispatch" not in causes(there)


TWO = (part(0), part(1))


def unsized(*, quiet: float = DISPATCH_SILENCE, parts: Any = TWO, **fields: Any) -> Case:
    header = tuple(header_task(p.index, counted=True, state="succeeded") for p in parts)
    header += fields.pop("more", ())
    chord = open_chord(
        header=header,
        size=None,
        counted=len(parts),
        missing=(),
        progressed_at=NOW - quiet,
        callback=callback(),
    )
    usual: dict[str, Any] = {"keys": keys(parts=parts), "metas": {"h0": meta("h0", group_id="group")}}
    return case(fields.pop("places", {}), chord=chord, **{**usual, **fields})


def test_without_a_record_long_silence_before_the_size_was_written_raises_the_question() -> None:
    verdict = said(unsized(), "partial_dispatch")

    assert not verdict.certain
    assert verdict.question == (
        f"Did the process that sent the chord die or raise at about {clock(NOW - DISPATCH_SILENCE)}, "
        "or does it still send?"
    )
    assert "celery-taskset-meta-group.s" in verdict.evidence[0]
    assert causes(unsized()) == ["partial_dispatch", "chord_state_lost"]


def test_a_producer_that_was_killed_leaves_its_records() -> None:
    alone = unsized()
    known = RecordedChord(chord=alone.chord)

    assert not said(replace(alone, recorded=known, metas={}), "partial_dispatch").certain


@pytest.mark.parametrize(
    "there",
    [
        unsized(quiet=DISPATCH_SILENCE - 1),  # a generator that takes its time
        unsized(keys=keys(size=2, parts=(part(0), part(1)))),
        unsized(keys=keys(claim="done", parts=(part(0), part(1)))),
        unsized(keys=keys(parts=(part(0), part(1, state="failed")))),
        unsized(places={"h2": in_queue()}, more=(header_task(2),)),
        # A late duplicate after the end: other parts have ended as well, and are not counted.
        unsized(parts=(part(1),)),
        unsized(more=(header_task(2, state="succeeded"),)),
        unsized(metas={}),
        unsized(metas={"h0": meta("h0"), "body": meta("body")}),
    ],
)
def test_a_chord_that_may_be_well_has_no_dead_producer(there: Case) -> None:
    assert causes(there) in ([], ["queued"])


def added(*, counted: int = 2, quiet: float = 31.0, **fields: Any) -> Case:
    parts = tuple(part(number) for number in range(counted))
    header = tuple(header_task(number, counted=True, state="succeeded") for number in range(counted))
    chord = open_chord(header=header, size=3, counted=counted, progressed_at=NOW - quiet)
    usual: dict[str, Any] = {"keys": keys(size=2, added=1, parts=parts), "who": consumers(alive())}
    return case(fields.pop("places", {}), chord=chord, **{**usual, **fields})


def test_a_part_that_was_added_and_never_sent_is_missed() -> None:
    verdict = said(added(), "dynamic_member_missing")

    assert (verdict.outcome, verdict.certain) == ("hung", False)
    assert verdict.summary == (
        "1 of the 1 parts that add_to_chord added were never sent; all 2 others are counted."
    )
    assert "lazy=True" in (verdict.question or "")
    known = RecordedChord(chord=open_chord())
    sure = said(added(recorded=known, instrumented_only=True), "dynamic_member_missing")
    assert (sure.certain, sure.question) == (True, None)


@pytest.mark.parametrize(
    "there",
    [
        added(quiet=29.0),
        added(counted=1),  # the task that added it has not ended
        added(keys=keys(size=3, parts=(part(0), part(1)))),
        added(keys=keys(size=2, added=1, parts=(part(0), part(1), part(2)))),
        added(places={"h2": in_queue()}),
        added(who=consumers(alive(tasks=(WorkerTask(task_id="x", name="zoo.nap", kind="active"),)))),
        added(who=replace(READ, asked_at=None)),
    ],
)
def test_an_added_part_that_may_be_on_its_way_is_not_missed(there: Case) -> None:
    assert "dynamic_member_missing" not in causes(there)
