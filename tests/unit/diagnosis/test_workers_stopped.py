"""Workers that stopped, read nothing, or have no slot left."""

from __future__ import annotations

from typing import Any

import pytest

from chordwatch.diagnosis import Case, diagnose
from chordwatch.diagnosis.causes import CAUSES
from chordwatch.diagnosis.causes.cause import Cause
from chordwatch.evidence.facts import Consumers, Limits, Message, Place
from chordwatch.model import Attempt, MissingPart
from tests.unit.diagnosis.workers_told import (
    CANCELLED,
    EVIL,
    EVIL_WORKER,
    FROZEN,
    HOSTILE,
    LEFT,
    bare,
    joining,
    lost,
    parent,
    stranger,
)
from tests.unit.judged import (
    NOWHERE,
    READ,
    alive,
    case,
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
from tests.unit.seen import NOW, active, consumers, header_task, in_queue, keys, open_chord


@pytest.mark.parametrize(
    "place", [running(), NOWHERE, Place(kind="unknown"), Place(kind="reserved", name="w1@zoo"), unacked()]
)
def test_a_worker_without_a_heartbeat_that_is_connected_is_frozen(place: Place) -> None:
    stopped = lost(place=place, lives={"w1@zoo": (FROZEN,)}, who=consumers())

    verdict = said(stopped, "worker_frozen")
    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("hung", True, ("h1",))
    assert verdict.summary == "zoo.add (index 1) h1 is held by worker w1@zoo, which does not go on."
    assert verdict.evidence[-1] == (
        "The last heartbeat of w1@zoo came at 2026-11-20 15:43:44 UTC, 25 s ago, "
        "but its connection to the store is there."
    )
    assert causes(stopped) == ["worker_frozen"]


def test_what_a_frozen_worker_did_not_acknowledge_another_one_gets() -> None:
    stopped = lost(
        place=unacked(ago=59), lives={"w1@zoo": (FROZEN,)}, limits=Limits(visibility_timeout=3600.0)
    )

    verdict = said(stopped, "worker_frozen")
    assert (verdict.outcome, verdict.recovers_at) == ("late", NOW - 59 + 3600)


def test_what_waits_for_a_frozen_worker_alone_is_hung() -> None:
    stopped = case({"h1": in_queue()}, consumers(), lives={"w1@zoo": (FROZEN,)})

    verdict = said(stopped, "worker_frozen")
    assert verdict.summary == (
        "1 task waits in queue celery, which only w1@zoo reads, and nothing of that goes on."
    )
    assert causes(stopped) == ["worker_frozen"]


@pytest.mark.parametrize(
    ("place", "lives"),
    [
        (running(), {"w1@zoo": (life(),)}),
        (running(), {}),
        (running(worker="w2@zoo"), {"w1@zoo": (FROZEN,)}),
        (in_queue(), {"w1@zoo": (FROZEN,)}),  # w2@zoo reads it
        (in_queue("low"), {"w1@zoo": (life(queues=("low",)),)}),
    ],
)
def test_a_worker_that_beats_is_not_frozen(place: Place, lives: Any) -> None:
    assert "worker_frozen" not in causes(lost(place=place, lives=lives))


def test_a_retry_without_a_message_whose_worker_left_was_a_cold_shutdown() -> None:
    verdict = said(lost(CANCELLED, lives=LEFT), "cold_shutdown")

    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("hung", True, ("h1",))
    assert verdict.summary == (
        "zoo.add (index 1) h1 was cancelled when w1@zoo shut down cold; nothing will run it again."
    )
    assert verdict.evidence[0] == (
        "zoo.add (index 1) h1 ended as if for a retry, and no message of that retry exists."
    )
    assert verdict.evidence[1].startswith("w1@zoo said goodbye at 2026-11-20 15:43:29 UTC")
    assert causes(lost(CANCELLED, lives=LEFT)) == ["cold_shutdown"]


@pytest.mark.parametrize(("error", "certain"), [("Retry", True), ("ValueError", False), (None, False)])
def test_bare_the_type_of_the_error_tells_a_cold_shutdown(error: str | None, certain: bool) -> None:
    verdict = said(bare(state="retrying", worker=None, error_type=error), "cold_shutdown")

    assert verdict.certain == certain
    assert (verdict.question is None) == certain


@pytest.mark.parametrize(
    "neighbour",
    [
        lost(CANCELLED, lives=LEFT, nowhere_since={}),
        lost(CANCELLED, lives=LEFT, place=in_queue(), nowhere_since={}),
        lost(CANCELLED, lives={"w1@zoo": (life(),)}),
        lost(CANCELLED, lives={}),
        lost(started(), lives=LEFT),
        # The next attempt was published: its message is what is missing.
        lost(
            header_task(
                1,
                state="retrying",
                attempts=(*CANCELLED.attempts, Attempt(attempt=1, state="published", published_at=NOW - 41)),
            ),
            lives=LEFT,
        ),
        bare(state="started"),
    ],
)
def test_a_retry_that_is_somewhere_was_not_cancelled(neighbour: Case) -> None:
    assert "cold_shutdown" not in causes(neighbour)


def test_a_worker_that_reads_nothing_does_not_consume() -> None:
    deaf = case({"h1": in_queue()}, consumers(alive(queues=())))

    verdict = said(deaf, "worker_not_consuming")
    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("hung", True, ("h1",))
    assert verdict.summary == "1 task waits in queue celery, and w1@zoo is online but reads no queue."
    assert verdict.evidence[-1] == "Asked at 2026-11-20 15:44:09 UTC, w1@zoo named no queue to read."
    assert "add_consumer celery" in verdict.remedy
    assert causes(deaf) == ["worker_not_consuming"]


def test_a_worker_that_reads_nothing_and_still_runs_something_may_be_shutting_down() -> None:
    deaf = case({"h1": in_queue()}, consumers(alive(queues=(), tasks=(active("x"),))))

    verdict = said(deaf, "worker_not_consuming")
    assert not verdict.certain
    assert verdict.question is not None
    assert "about to shut down" in verdict.question


@pytest.mark.parametrize(
    ("workers", "missing"),
    [
        ((alive(),), {}),
        ((alive(queues=("other",)),), {}),
        ((alive(queues=()), alive("w2@zoo")), {}),
        # Nobody says that this one read the queue.
        ((alive(queues=()), alive("w2@zoo", queues=("other",))), {}),
        ((alive(queues=()),), {"celery": NOW - 29}),
        ((), {}),
    ],
)
def test_a_queue_that_another_worker_reads_or_read_just_now_is_no_sign(workers: Any, missing: Any) -> None:
    who = consumers(*workers, missing_since=missing)

    assert "worker_not_consuming" not in causes(case({"h1": in_queue()}, who))


def test_without_any_worker_the_queue_is_not_to_blame() -> None:
    verdict = said(case({"h1": in_queue()}, consumers()), "no_workers")

    assert (verdict.outcome, verdict.tasks, verdict.certain) == ("hung", ("h1",), False)
    assert verdict.question is not None
    assert verdict.summary == "1 task waits in queue celery, and no worker is online."


def test_a_queue_that_the_last_worker_left_when_it_shut_down_had_a_reader() -> None:
    ended = life(gone=True, last_beat_at=NOW - 40, queues=(), left=("celery",), left_at=NOW - 41)

    assert causes(case({"h1": in_queue()}, consumers(), lives={"w1@zoo": (ended,)})) == ["no_workers"]


def test_it_is_certain_when_all_workers_that_ever_beat_are_gone() -> None:
    lives = {"w1@zoo": (dead(),), "w2@zoo": (life("w2@zoo", gone=True, last_beat_at=NOW - 99),)}

    verdict = said(case({"h1": in_queue()}, consumers(), lives=lives), "no_workers")
    assert (verdict.certain, verdict.question, verdict.since) == (True, None, NOW - 25)
    assert verdict.evidence[1] == (
        "Last heartbeats: w1@zoo at 2026-11-20 15:43:44 UTC, w2@zoo at 2026-11-20 15:42:30 UTC."
    )


def test_one_that_may_be_connected_leaves_it_open() -> None:
    lives = {"w1@zoo": (dead(connected=None),)}

    assert not said(case({"h1": in_queue()}, consumers(), lives=lives), "no_workers").certain


@pytest.mark.parametrize(
    "neighbour",
    [
        case({"h1": in_queue()}, Consumers()),
        case({"h1": in_queue()}, READ),
        case({"h1": NOWHERE}, consumers()),
        case({"h1": in_queue()}, consumers(missing_since={"celery": NOW - 29.9})),
        case({"h1": in_queue()}, consumers(unasked={"celery": 0.0})),
    ],
)
def test_nobody_is_missed_where_workers_answer_were_not_asked_or_left_just_now(neighbour: Case) -> None:
    assert "no_workers" not in causes(neighbour)


def test_a_task_whose_child_finds_no_slot_may_wait_for_it_for_ever() -> None:
    verdict = said(parent(), "pool_deadlock")

    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("hung", False, ("h1",))
    assert verdict.summary == (
        "zoo.add (index 1) h1 runs and sent zoo.sub, for which no slot can become free."
    )
    assert verdict.question == "Does zoo.add (index 1) h1 wait for the result of zoo.sub (.get())?"
    assert verdict.evidence[1] == "zoo.sub child, sent by h1, has not begun (queue celery)."
    assert verdict.evidence[2] == (
        "The only slot of w1@zoo, which reads queue celery, is taken by a task that has sent such a task."
    )


@pytest.mark.parametrize(
    "neighbour",
    [
        parent(ago=9),
        parent(slots=2),
        parent(slots=2, beside=(active("other"),)),
        parent(children={}),
        parent(usual={"zoo.add": 90.0}),
        parent(who=consumers(alive(tasks=(active("h1"),)), alive("w2@zoo"))),
        parent(who=consumers(alive(queues=("low",), tasks=(active("h1"),)))),
    ],
)
def test_a_slot_that_can_become_free_is_no_deadlock(neighbour: Case) -> None:
    assert "pool_deadlock" not in causes(neighbour)


def test_a_task_that_nobody_can_place_may_be_the_part_that_waits_for_its_child() -> None:
    verdict = said(stranger(), "pool_deadlock")

    assert (verdict.certain, verdict.tasks, verdict.since) == (False, ("x",), NOW - 60)
    assert verdict.summary == (
        "zoo.parent x runs and sent zoo.sub, for which no slot can become free; it may be a part of this chord."
    )
    assert verdict.question == "Is zoo.parent x a part of this chord, and does it wait for zoo.sub (.get())?"


@pytest.mark.parametrize(
    "neighbour",
    [
        stranger(ago=9),
        stranger(missing=MissingPart(index=1, task_id="h1")),
        stranger(children={}),
        stranger(usual={"zoo.parent": 90.0}),
        stranger(chord=open_chord(state="succeeded", missing=(MissingPart(index=1),))),
    ],
)
def test_a_task_of_others_that_goes_on_is_no_deadlock_of_the_chord(neighbour: Case) -> None:
    assert "pool_deadlock" not in causes(neighbour)


def test_a_counted_task_that_goes_on_running_blocks_the_join() -> None:
    verdict = said(joining(), "join_blocked")

    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("hung", True, ("h1", "body"))
    assert verdict.summary == (
        "All 2 parts are counted, but w1@zoo still gathers their results: one of them is not stored."
    )
    assert verdict.evidence[0] == (
        "zoo.add (index 1) h1 is counted and still runs on w1@zoo at 2026-11-20 15:44:09 UTC, "
        "47 s after the last part came."
    )


def test_a_heartbeat_tells_of_a_blocked_join_as_well() -> None:
    beaten = joining(asked=NOW - 60, lives={"w1@zoo": (life(active=("h1",)),)})

    assert "join_blocked" in causes(beaten)


@pytest.mark.parametrize(
    "neighbour",
    [
        joining(asked=NOW - 43),  # asked while the callback was on its way
        joining(asked=NOW - 60),
        joining(members=()),  # a flat header is not joined
        joining(keys=keys(size=2, counted=2, members=("h0", "h1"), claim="done")),
        joining(keys=None),
        case({"h1": running()}, keys=keys(size=2, counted=1, members=("h0", "h1"))),
    ],
)
def test_a_join_that_has_just_begun_or_is_over_is_not_blocked(neighbour: Case) -> None:
    assert "join_blocked" not in causes(neighbour)


@pytest.mark.parametrize(
    "evil",
    [
        told({HOSTILE: NOWHERE}, EVIL, nowhere_since={HOSTILE: NOW - 5}, lives={HOSTILE: (dead(HOSTILE),)}),
        told({HOSTILE: NOWHERE}, EVIL, nowhere_since={HOSTILE: NOW - 5}, who=consumers()),
        told(
            {HOSTILE: running(worker=HOSTILE)},
            EVIL,
            lives={HOSTILE: (life(HOSTILE, stale=True, connected=True),)},
        ),
        told({HOSTILE: unacked(name=HOSTILE)}, EVIL, lives={HOSTILE: (dead(HOSTILE),)}),
        told(
            {HOSTILE: unacked(name=HOSTILE)},
            received(task_id=HOSTILE, name=HOSTILE, worker=HOSTILE),
            lives={HOSTILE: (life(HOSTILE),)},
            rate_limits={HOSTILE: HOSTILE},
        ),
        told({HOSTILE: in_queue(HOSTILE)}, EVIL, who=consumers(alive(HOSTILE, queues=()))),
        told({HOSTILE: running(ago=9999, worker=HOSTILE)}, EVIL, usual={HOSTILE: 1.0}),
        told(
            {HOSTILE: running(worker=HOSTILE)},
            EVIL,
            who=consumers(EVIL_WORKER),
            children={HOSTILE: (Message(task_id=HOSTILE, name=HOSTILE, queue=HOSTILE),)},
        ),
        told(
            {HOSTILE: running(worker=HOSTILE)},
            started(task_id=HOSTILE, name=HOSTILE, attempts=EVIL.attempts * 3),
            starts_seen={HOSTILE: 3},
        ),
    ],
)
def test_hostile_names_are_shortened_and_shown_literally(evil: Case) -> None:
    found = [verdict for verdict in diagnose(evil) if verdict.cause != "header_running"]

    assert found
    for verdict in found:
        for text in (verdict.summary, *verdict.evidence, verdict.remedy, verdict.question or ""):
            assert len(text) < 700
            assert text.isprintable()


def test_a_frozen_worker_is_continued_before_it_is_ended() -> None:
    """What was acknowledged early is lost with a worker that is ended, and goes on in one that is continued."""
    cause = CAUSES["worker_frozen"]

    for text in (cause.remedy, cause.fix):
        assert text.index("ps -o stat=") < text.index("kill -CONT") < text.index("start it anew")


@pytest.mark.parametrize("cause", CAUSES.values(), ids=CAUSES)
def test_a_tool_that_comes_with_nothing_here_is_named_with_how_to_get_it(cause: Cause) -> None:
    for text in (cause.remedy, cause.fix):
        assert ("py-spy" in text) == ("pip install py-spy" in text)
