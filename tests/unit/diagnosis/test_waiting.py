from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chordwatch.diagnosis import Case
from chordwatch.evidence.facts import Consumers, Limits, Place, WorkerTask
from chordwatch.model import HeaderTask
from tests.unit.judged import (
    READ,
    alive,
    callback,
    case,
    causes,
    dead,
    life,
    received,
    said,
    started,
    told,
    unacked,
)
from tests.unit.seen import NOW, W1, active, consumers, header_task, in_queue, meta, open_chord

SCHEDULED = Place(kind="scheduled", name="w1@zoo", eta=NOW + 7200, since=NOW - 6)
HELD_BACK = Place(kind="unacked", name="celery", eta=NOW + 7200, since=NOW - 6)
IDLE = alive("w2@zoo")
HOUR = Limits(visibility_timeout=3600.0)


def test_a_retry_two_hours_away_waits_until_then() -> None:
    verdict = said(case({"h1": replace(SCHEDULED, attempt=1)}), "retry_scheduled")

    assert (verdict.outcome, verdict.certain) == ("waiting", True)
    assert verdict.recovers_at == NOW + 7200
    assert verdict.since == NOW - 6
    assert verdict.summary == "1 task waits for a retry, due 2026-11-20 17:44:09 UTC."
    assert verdict.evidence == (
        "zoo.add (index 1) h1 is held back by w1@zoo, attempt 2, due 2026-11-20 17:44:09 UTC.",
    )


def test_a_first_attempt_with_a_countdown_waits_for_its_eta() -> None:
    verdict = said(case({"h1": SCHEDULED}), "eta_scheduled")

    assert (verdict.outcome, verdict.recovers_at) == ("waiting", NOW + 7200)


def test_a_time_that_only_the_message_tells_is_not_certain() -> None:
    verdict = said(case({"h1": HELD_BACK}), "eta_scheduled")

    assert not verdict.certain
    assert verdict.question is not None


def test_it_is_certain_when_the_worker_that_took_it_beats() -> None:
    held = told({"h1": HELD_BACK}, received(at=NOW - 6), lives={"w1@zoo": (life(),)})

    assert said(held, "eta_scheduled").certain


@pytest.mark.parametrize(
    ("after", "outcome"), [(-1, "waiting"), (10, "waiting"), (10.1, "late"), (9999, "late")]
)
@pytest.mark.parametrize(("attempt", "cause"), [(0, "eta_scheduled"), (2, "retry_scheduled")])
def test_a_time_that_has_passed_is_late_after_ten_seconds(
    after: float, outcome: str, attempt: int, cause: str
) -> None:
    late = case({"h1": replace(SCHEDULED, attempt=attempt)}, now=NOW + 7200 + after)

    assert said(late, cause).outcome == outcome


def test_an_eta_in_a_queue_that_is_read_counts_until_it_has_passed() -> None:
    assert causes(case({"h1": in_queue(eta=NOW + 60)})) == ["eta_scheduled"]
    assert causes(case({"h1": in_queue(eta=NOW - 60)})) == ["queued"]


def test_an_eta_in_a_queue_that_nobody_reads_does_not_excuse_it() -> None:
    assert causes(case({"h1": in_queue("nobody", eta=NOW + 60)})) == ["queue_unconsumed"]


def test_the_last_of_several_times_is_when_the_chord_recovers() -> None:
    verdict = said(case({"h0": SCHEDULED, "h1": replace(SCHEDULED, eta=NOW + 9)}), "eta_scheduled")

    assert (verdict.recovers_at, verdict.summary) == (
        NOW + 7200,
        "2 tasks wait for their ETA, due 2026-11-20 17:44:09 UTC.",
    )


@pytest.mark.parametrize("task", ["h1", "body"])
def test_a_task_in_a_queue_that_is_read_waits(task: str) -> None:
    verdict = said(case({task: in_queue()}), "queued")

    assert (verdict.outcome, verdict.certain, verdict.question) == ("waiting", True, None)
    assert verdict.summary == "1 task waits in queue celery, which w1@zoo reads."


def test_a_reserved_task_waits_for_a_slot() -> None:
    verdict = said(case({"h1": Place(kind="reserved", name="w1@zoo")}), "queued")

    assert verdict.outcome == "waiting"
    assert verdict.summary == "1 task waits for a free slot of worker w1@zoo."


@pytest.mark.parametrize("workers", [(W1,), ()])
def test_nothing_is_said_of_a_queue_that_the_workers_were_not_yet_asked_about(workers: Any) -> None:
    verdict = said(case({"h1": in_queue("other")}, consumers(*workers, unasked={"other": 0.0})), "queued")

    assert "have yet to be asked" in verdict.summary


def left(*parts: HeaderTask, place: Place | None = None, **fields: Any) -> Case:
    """Return the case of a recorded `h1` whose message is delivered and whose worker died."""
    usual: dict[str, Any] = {
        "lives": {"w1@zoo": (dead(),)},
        "limits": HOUR,
        "who": consumers(alive("w2@zoo")),
    }
    return told({"h1": place or unacked()}, *(parts or (received(),)), **{**usual, **fields})


def test_what_a_worker_that_left_a_while_ago_did_not_give_back_is_delivered_again() -> None:
    assert causes(left(lives={"w1@zoo": (life(gone=True, last_beat_at=NOW - 31),)})) == ["redelivery_pending"]


def test_what_a_dead_worker_did_not_acknowledge_is_delivered_again() -> None:
    verdict = said(left(), "redelivery_pending")

    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("late", True, ("h1",))
    assert verdict.recovers_at == NOW - 60 + 3600
    assert verdict.since == NOW - 60
    assert verdict.summary == (
        "1 task waits unacknowledged, at a worker that is no more; "
        "it is delivered again after 2026-11-20 16:43:09 UTC."
    )
    assert verdict.evidence == (
        "zoo.add (index 1) h1 is delivered from queue celery at 2026-11-20 15:43:09 UTC and not acknowledged.",
        (
            "The last heartbeat of w1@zoo came at 2026-11-20 15:43:44 UTC, 25 s ago, "
            "and its connection to the store is gone."
        ),
        "The broker's visibility_timeout is 1 h.",
    )
    assert causes(left()) == ["redelivery_pending"]


def test_a_task_that_runs_with_late_acknowledgement_comes_back_as_well() -> None:
    assert causes(left(started())) == ["redelivery_pending"]


def test_so_does_the_callback() -> None:
    body = callback(state="received", worker="w1@zoo", published_at=NOW - 61)
    gone = told(
        {"body": unacked()},
        chord={"callback": body},
        lives={"w1@zoo": (dead(),)},
        limits=HOUR,
        who=consumers(alive("w2@zoo")),
    )

    assert said(gone, "redelivery_pending").tasks == ("body",)


def test_an_eta_beyond_the_redelivery_is_when_it_recovers() -> None:
    verdict = said(left(place=unacked(eta=NOW + 7200)), "redelivery_pending")

    assert verdict.recovers_at == NOW + 7200
    assert causes(left(place=unacked(eta=NOW + 7200))) == ["redelivery_pending"]


def test_without_a_known_timeout_nobody_can_say_when() -> None:
    verdict = said(left(limits=Limits()), "redelivery_pending")

    assert verdict.recovers_at is None
    assert verdict.summary.endswith("at a worker that is no more.")


def test_a_message_that_no_worker_names_may_be_a_dead_ones() -> None:
    verdict = said(
        case({"h1": unacked()}, consumers(alive(started_at=NOW - 30)), limits=HOUR), "redelivery_pending"
    )

    assert (verdict.certain, verdict.recovers_at) == (False, NOW + 3540)
    assert verdict.evidence[1] == "None of w1@zoo named it when asked at 2026-11-20 15:44:09 UTC."
    assert verdict.question == "Does the worker live that took it, and is it too busy to answer?"


def test_without_any_answer_it_may_be_a_dead_ones_as_well() -> None:
    verdict = said(case({"h1": unacked()}, consumers(), limits=HOUR), "redelivery_pending")

    assert verdict.evidence[1].startswith("No worker answered, so none named it")


def test_bare_a_worker_that_was_started_since_the_delivery_has_it_no_more() -> None:
    restarted = case(
        {"h1": unacked()},
        consumers(alive(started_at=NOW - 30, processes=(11,))),
        metas={"h1": meta("h1", state="started", worker="w1@zoo", pid=77)},
        limits=HOUR,
    )

    assert said(restarted, "redelivery_pending").certain
    assert causes(restarted) == ["redelivery_pending"]


@pytest.mark.parametrize(
    "neighbour",
    [
        left(lives={"w1@zoo": (life(),)}),
        left(lives={"w1@zoo": (life(gone=True, last_beat_at=NOW - 29),)}),  # about to give back what it has
        left(place=in_queue()),
        left(place=Place(kind="nowhere")),
        left(place=unacked(ago=4), who=consumers(alive("w2@zoo"))),  # delivered once more, just now
        case({"h1": unacked(ago=4)}, READ),
        case({"h1": unacked()}, Consumers()),
        case({"h1": unacked()}, consumers(W1, asked_at=NOW - 60)),
        case({"h1": HELD_BACK}, READ),
        case({"h1": unacked()}, READ, rate_limits={"zoo.add": "1/h"}),
    ],
)
def test_a_message_that_a_living_worker_has_or_may_have_is_not_given_up(neighbour: Case) -> None:
    assert "redelivery_pending" not in causes(neighbour)


def limited(**fields: Any) -> Case:
    """Return the case of a recorded `h1` that a living worker has received and does not name."""
    usual: dict[str, Any] = {"lives": {"w1@zoo": (life(),)}, "who": consumers(alive())}
    return told({"h1": fields.pop("place", unacked())}, fields.pop("task", received()), **{**usual, **fields})


def test_a_living_worker_that_does_not_name_what_it_received_holds_it_over_a_rate_limit() -> None:
    verdict = said(limited(rate_limits={"zoo.add": "1/h"}), "rate_limited")

    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("waiting", True, ("h1",))
    assert verdict.summary == "1 task waits at worker w1@zoo until the rate limit of zoo.add lets it run."
    assert verdict.evidence[1:] == (
        "The worker w1@zoo lives and does not name it among active, reserved and scheduled tasks.",
        "Rate limits: zoo.add 1/h.",
    )
    assert verdict.since == NOW - 60


def test_without_the_limits_it_asks_for_them() -> None:
    verdict = said(limited(), "rate_limited")

    assert (verdict.certain, verdict.question) == (False, "Has zoo.add a rate limit (rate_limit=…)?")


def test_bare_a_worker_that_was_there_at_the_delivery_may_hold_it_back() -> None:
    there = case({"h1": unacked()}, consumers(alive()), limits=HOUR)

    assert causes(there) == ["redelivery_pending", "rate_limited"]
    assert not said(there, "rate_limited").certain


@pytest.mark.parametrize(
    "neighbour",
    [
        limited(rate_limits={}),
        limited(rate_limits={"zoo.other": "1/h"}),
        limited(lives={"w1@zoo": (dead(),)}),
        limited(lives={"w1@zoo": (life(reserved=("h1",)),)}),
        limited(task=started()),
        limited(place=unacked(ago=4), task=received(at=NOW - 4)),
        limited(place=unacked(eta=NOW + 60)),
        limited(place=in_queue()),
        case({"h1": unacked()}, consumers(alive(started_at=NOW - 30))),
        case({"h1": unacked()}, consumers(alive(queues=("low",)))),
    ],
)
def test_what_is_named_started_due_later_or_not_limited_is_not_held_back(neighbour: Case) -> None:
    assert "rate_limited" not in causes(neighbour)


def hoarded(*, busy: float = 60, slots: int = 1, queue: str = "celery", others: Any = (IDLE,)) -> Case:
    """Return the case of `h1`, which waits in `w1@zoo` behind a task that runs since `busy` seconds."""
    ahead = WorkerTask(task_id="long", name="zoo.nap", kind="active", started_at=NOW - busy)
    kept = WorkerTask(task_id="h1", name="zoo.add", kind="reserved", queue=queue)
    worker = alive(concurrency=slots, tasks=(ahead, kept))
    return case({"h1": Place(kind="reserved", name="w1@zoo")}, consumers(worker, *others))


def test_a_task_that_waits_behind_another_while_a_worker_idles_is_hoarded() -> None:
    verdict = said(hoarded(), "prefetch_hoarded")

    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("late", True, ("h1",))
    assert verdict.summary == "1 task waits for a slot of worker w1@zoo, while w2@zoo has nothing to do."
    assert verdict.evidence == (
        "zoo.add (index 1) h1 is received by w1@zoo, not started.",
        "At 2026-11-20 15:44:09 UTC the only slot of w1@zoo was taken, the latest task begun 1 min before.",
        "At the same time w2@zoo, on the same queue, had no active, reserved or scheduled task.",
    )
    assert verdict.since == NOW - 60
    assert causes(hoarded()) == ["prefetch_hoarded"]


@pytest.mark.parametrize(
    "neighbour",
    [
        hoarded(busy=4),
        hoarded(slots=2),
        hoarded(others=()),
        hoarded(others=(alive("w2@zoo", queues=("low",)),)),
        hoarded(queue="low"),
        hoarded(others=(alive("w2@zoo", tasks=(active("x"),)),)),
        # Only its heartbeat tells of it: nobody knows what it does.
        hoarded(others=(alive("w2@zoo", started_at=None),)),
    ],
)
def test_a_task_that_no_idle_worker_could_take_just_waits(neighbour: Case) -> None:
    assert causes(neighbour) == ["queued"]


def test_a_finished_part_is_not_waited_for() -> None:
    done = open_chord(header=(header_task(1, counted=True, state="succeeded"),))

    assert causes(case({}, chord=done, metas={"h1": meta("h1")})) == []


def test_what_a_silent_worker_may_hold_does_not_come_back() -> None:
    nobodys = case({"h1": unacked()}, consumers(alive(started_at=NOW - 30)), limits=HOUR)
    assert causes(nobodys) == ["redelivery_pending"]

    silent = replace(nobodys.consumers, silent=frozenset({"w2@zoo"}))
    assert causes(replace(nobodys, consumers=silent)) == []


def test_nor_does_what_only_a_workers_clock_says_was_delivered_before_the_workers_were_asked() -> None:
    nobodys = case({"h1": unacked()}, consumers(alive(started_at=NOW - 30)), limits=HOUR)
    assert nobodys.consumers.asked_at

    assert causes(replace(nobodys, deliveries_seen={"h1": nobodys.consumers.asked_at})) == []
    assert causes(replace(nobodys, deliveries_seen={"h1": NOW - 10})) == ["redelivery_pending"]


@pytest.mark.parametrize("ahead", [-60.0, 60.0])
def test_nothing_comes_back_from_a_young_worker_whose_clock_is_wrong(ahead: float) -> None:
    young = life(since=NOW - 20, clock_ahead=ahead, reserved=("h1",))
    asked = consumers(alive(started_at=NOW - 20), asked_at=NOW - 8)
    place = unacked(ago=4 - ahead)

    assert (
        causes(left(received(at=NOW - 4 + ahead), place=place, lives={"w1@zoo": (young,)}, who=asked)) == []
    )
