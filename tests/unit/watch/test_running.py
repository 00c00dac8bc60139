from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chordwatch.evidence.facts import Consumers, Place, Queue
from chordwatch.model import Callback
from chordwatch.store.protocol import WorkerRecord
from chordwatch.watch import Sighting
from chordwatch.watch.merge import merge
from chordwatch.watch.recorded import STALE_BEAT
from chordwatch.watch.running import Liveness, stale_after, with_running
from chordwatch.watch.words import unlocated, waits_for
from tests.unit.recorded import beat, ran, recorded, runs
from tests.unit.seen import NOW, W1, consumers, header_task, in_queue

RUNNING = Place(kind="active", name="w1@zoo", since=NOW - 5, attempt=0)


def placed(
    *workers: WorkerRecord,
    place: Place | None = None,
    looked_at: float = NOW,
    asked: Consumers | None = None,
    sighting: Sighting | None = None,
    connections: frozenset[tuple[str, str]] | None = None,
    queues_read: bool = False,
) -> Sighting:
    """Return the recorded chord whose `h1` runs, with its place as the X-ray knows it."""
    liveness = Liveness(
        consumers=asked or Consumers(),
        workers=workers,
        connections=connections,
        now=NOW,
        looked_at=looked_at,
        queues_read=queues_read,
    )
    seen = sighting or merge(None, recorded())
    places = {"h1": place} if place else {}
    return with_running(Sighting(chord=seen.chord, places=places), liveness)


@pytest.mark.parametrize("place", [None, Place(kind="unknown"), Place(kind="nowhere")])
def test_a_task_that_has_started_runs_on_its_worker(place: Place | None) -> None:
    seen = placed(beat(), place=place)

    assert seen.places == {"h1": RUNNING}
    assert waits_for(seen, now=NOW) == "1 running on w1@zoo"
    assert unlocated(seen) == 0


def test_where_it_was_located_it_is() -> None:
    assert placed(beat(), place=in_queue()).places == {"h1": in_queue()}


def test_what_was_started_during_the_look_is_no_longer_in_its_queue() -> None:
    assert placed(beat(), place=in_queue(), looked_at=NOW - 6).places == {"h1": RUNNING}


def test_workers_without_heartbeats_are_taken_at_their_word() -> None:
    assert placed().places == {"h1": RUNNING}
    assert placed(beat("other@zoo", gone=True)).places == {"h1": RUNNING}


@pytest.mark.parametrize(
    "worker",
    [
        beat(gone=True),
        beat(last=NOW - STALE_BEAT - 1),
        beat(first=NOW + 1),
    ],
    ids=["said goodbye", "silent", "started anew"],
)
def test_on_a_worker_that_may_be_dead_it_is_not_located(worker: WorkerRecord) -> None:
    assert placed(worker, place=Place(kind="nowhere")).places == {"h1": Place(kind="nowhere")}
    assert placed(worker).places == {"h1": Place(kind="unknown")}


def test_one_living_worker_of_the_name_is_enough() -> None:
    assert placed(beat(gone=True), beat(first=NOW - 60)).places == {"h1": RUNNING}


def test_a_worker_that_answered_after_the_start_would_have_named_it() -> None:
    nowhere = Place(kind="nowhere")

    assert placed(beat(), place=nowhere, asked=consumers(W1)).places == {"h1": nowhere}
    assert placed(beat(), place=nowhere, asked=consumers(W1, asked_at=NOW - 6)).places == {"h1": RUNNING}
    assert placed(beat(), place=nowhere, asked=consumers()).places == {"h1": RUNNING}


def test_a_callback_that_has_started_runs() -> None:
    callback = Callback(task_id="body", state="started", worker="w1@zoo", started_at=NOW - 5, attempt=0)
    seen = merge(None, recorded(counted=2, missing=(), header=(ran(0), ran(1)), callback=callback))

    assert waits_for(placed(sighting=seen), now=NOW) == "the callback, running on w1@zoo"


def test_a_finished_chord_waits_for_nothing() -> None:
    seen = merge(None, recorded(state="failed", header=(ran(0), runs(1))))

    assert placed(sighting=seen).places == {}


def test_a_task_on_a_worker_of_unknown_name_is_not_located() -> None:
    seen = merge(None, recorded(header=(ran(0), runs(1, worker=None))))

    assert placed(sighting=seen).places == {"h1": Place(kind="unknown")}


def test_a_prefork_worker_that_did_not_answer_runs_it_only_if_it_has_beaten_since() -> None:
    asked, unknown = consumers(), {"h1": Place(kind="unknown")}
    silent, beating = beat(pool="prefork", last=NOW - 1), beat(pool="prefork", last=NOW + 1, active=("h1",))

    assert placed(silent, asked=asked).places == unknown
    assert placed(beating, asked=asked).places == {"h1": RUNNING}
    assert placed(silent).places == {"h1": RUNNING}
    assert placed(beat(pool="solo", last=NOW - 1), asked=asked).places == {"h1": RUNNING}


def test_heartbeats_that_are_far_apart_may_be_older() -> None:
    assert stale_after(2.0) == STALE_BEAT
    assert stale_after(60.0) == 240.0


@pytest.mark.parametrize(
    ("delivered", "runs"), [(NOW - 6, True), (NOW - 4, True), (None, True), (NOW + 60, False)]
)
def test_a_message_is_unacknowledged_while_its_task_runs(delivered: float | None, runs: bool) -> None:
    unacked = Place(kind="unacked", name="celery", since=delivered)

    assert placed(beat(), place=unacked).places == {"h1": RUNNING if runs else unacked}


def test_a_message_of_a_worker_that_may_be_dead_is_unacknowledged() -> None:
    unacked = Place(kind="unacked", name="celery", since=NOW - 6)

    assert placed(beat(gone=True), place=unacked).places == {"h1": unacked}


def readers(*workers: WorkerRecord, asked: Consumers | None = None) -> list[str]:
    """Return the hostnames of those that are taken to read the queues."""
    known = asked or consumers()
    liveness = Liveness(consumers=known, workers=workers, now=NOW, looked_at=NOW)
    return [worker.hostname for worker in liveness.readers.workers]


def test_a_silent_worker_that_beats_reads_its_queues() -> None:
    assert readers(beat()) == ["w1@zoo"]
    assert readers(beat(), beat("w2@zoo"), asked=consumers(W1)) == ["w1@zoo", "w2@zoo"]


def test_a_worker_that_is_restarted_is_told_once() -> None:
    assert readers(beat(first=NOW - 90, last=NOW - 3), beat(first=NOW - 2)) == ["w1@zoo"]


@pytest.mark.parametrize(
    "worker",
    [beat(gone=True), beat(last=NOW - STALE_BEAT - 1)],
    ids=["said goodbye", "silent"],
)
def test_a_worker_that_may_be_dead_reads_nothing(worker: WorkerRecord) -> None:
    assert readers(worker) == []


def test_one_that_does_not_answer_may_be_stopped_for_a_moment_until_it_is_silent() -> None:
    assert readers(beat(pool="prefork", last=NOW - 6)) == ["w1@zoo"]


@pytest.mark.parametrize(
    ("workers", "left"),
    [
        ((beat(gone=True, last=NOW - 3),), {"celery": NOW - 3}),
        ((beat(last=NOW - STALE_BEAT - 1),), {"celery": NOW - STALE_BEAT - 1}),
        ((beat(gone=True, last=NOW - 9), beat("w2@zoo", gone=True, last=NOW - 4)), {"celery": NOW - 4}),
        ((beat(),), {}),
        ((beat(gone=True, last=NOW - 3, queues=(), left=("celery",), left_at=NOW - 8),), {"celery": NOW - 8}),
        ((beat(queues=(), left=("celery",), left_at=NOW - 8, ahead=60),), {"celery": NOW - 8}),
        (
            (beat(queues=(), left=("celery",), left_at=NOW - 8), beat("w2@zoo", gone=True, last=NOW - 4)),
            {"celery": NOW - 4},
        ),
    ],
    ids=["said goodbye", "silent", "two", "alive", "shut down warmly", "shuts down", "two in turn"],
)
def test_who_looks_for_the_first_time_knows_when_the_last_reader_of_a_queue_left(
    workers: tuple[WorkerRecord, ...], left: dict[str, float]
) -> None:
    ahead = Liveness(consumers=consumers(), workers=workers, now=NOW, looked_at=NOW + 100)

    assert ahead.readers.missing_since == {queue: since + 100 for queue, since in left.items()}


def test_a_worker_that_answers_that_it_reads_no_queue_any_more_left_it_after_its_last_heartbeat() -> None:
    asked = consumers(replace(W1, queues=()))
    leaves = Liveness(consumers=asked, workers=(beat(last=NOW - 1),), now=NOW, looked_at=NOW + 100)

    assert leaves.readers.missing_since == {"celery": NOW + 99}


def test_a_reader_that_answered_until_a_moment_ago_left_then() -> None:
    known = consumers(missing_since={"celery": NOW - 2})
    liveness = Liveness(consumers=known, workers=(beat(gone=True, last=NOW - 60),), now=NOW, looked_at=NOW)

    assert liveness.readers.missing_since == {"celery": NOW - 2}


def test_where_workers_cannot_be_asked_heartbeats_do_not_stand_for_all() -> None:
    assert readers(beat(), asked=Consumers()) == []


NOWHERE = Place(kind="nowhere")
SILENT = beat(last=NOW - STALE_BEAT - 1)


def test_what_a_dead_worker_had_taken_is_nowhere_when_the_queues_were_read() -> None:
    assert placed(beat(gone=True), queues_read=True).places == {"h1": NOWHERE}
    assert placed(SILENT, queues_read=True, connections=frozenset()).places == {"h1": NOWHERE}
    assert placed(beat(first=NOW + 1), queues_read=True).places == {"h1": NOWHERE}


def test_a_silent_worker_that_is_connected_still_has_what_it_had_taken() -> None:
    here = frozenset({(SILENT.heartbeat.node, SILENT.heartbeat.boot)})

    assert placed(SILENT, queues_read=True, connections=here).places == {"h1": RUNNING}


def test_what_another_workers_heartbeat_names_is_there() -> None:
    other = beat("w2@zoo", active=("h1",))

    assert placed(beat(gone=True), other, queues_read=True).places == {
        "h1": Place(kind="active", name="w2@zoo")
    }


def test_a_heartbeat_that_names_it_no_longer_has_let_it_go() -> None:
    assert placed(beat(last=NOW + 1), queues_read=True).places == {"h1": NOWHERE}


def test_an_old_answer_of_a_worker_that_died_since_counts_no_more() -> None:
    answered = Place(kind="active", name="w1@zoo", since=NOW - 5)

    assert placed(beat(gone=True), place=answered, queues_read=True).places == {"h1": NOWHERE}
    assert placed(beat(active=("h1",)), place=answered, asked=consumers(W1)).places == {"h1": answered}


@pytest.mark.parametrize("message", [Place(kind="unacked", name="celery", since=NOW - 6), in_queue()])
def test_of_a_worker_that_died_since_its_answer_the_message_is_left(message: Place) -> None:
    answered = Place(kind="active", name="w1@zoo", since=NOW - 5, message=message)

    assert placed(beat(gone=True), place=answered, queues_read=True).places == {"h1": message}
    assert placed(beat(active=("h1",)), place=answered, asked=consumers(W1)).places == {"h1": answered}


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (consumers(W1), "nowhere"),
        (consumers(W1, replace(W1, hostname="bare@zoo")), "unknown"),
        (None, "unknown"),
    ],
    ids=["all beat", "one does not", "not asked"],
)
def test_what_nobody_has_received_is_nowhere_only_if_all_workers_beat(
    asked: Consumers | None, kind: str
) -> None:
    waits = header_task(1, state="published", published_at=NOW - 60)
    seen = merge(None, recorded(header=(ran(0), waits)))

    assert placed(beat(), sighting=seen, asked=asked, queues_read=True).places == {"h1": Place(kind=kind)}


@pytest.mark.parametrize(
    ("workers", "undecided"), [((beat(),), {"newer"}), ((), {"new", "newer"})], ids=["all beat", "none beats"]
)
def test_who_reads_a_new_queue_is_soon_known_where_all_workers_beat(
    workers: tuple[WorkerRecord, ...], undecided: set[str]
) -> None:
    known = consumers(W1, unasked={"new": NOW - 5, "newer": NOW - 1})
    liveness = Liveness(consumers=known, workers=workers, now=NOW, looked_at=NOW)

    assert set(liveness.readers.unasked) == undecided


DIED = NOW - STALE_BEAT - 1


@pytest.mark.parametrize(
    ("ended", "asked_at", "connected", "known"),
    [
        ({"last": NOW - 5, "gone": True}, NOW - 30, False, True),
        ({"last": DIED}, DIED - 1, False, True),
        ({"last": DIED}, DIED - 1, True, False),
        ({"last": DIED}, DIED - 1, None, False),
        ({"last": NOW - 300, "gone": True}, NOW - 30, False, False),
    ],
    ids=[
        "said goodbye",
        "died",
        "is frozen",
        "may be frozen",
        "answered after its end, so that is another one",
    ],
)
def test_a_worker_that_ended_since_it_answered_is_no_unknown_one(
    ended: dict[str, Any], asked_at: float, connected: bool | None, known: bool
) -> None:
    other = beat("w2@zoo", **ended)
    there = {("w2@zoo", other.heartbeat.boot)} if connected else set()
    liveness = Liveness(
        consumers=consumers(W1, replace(W1, hostname="w2@zoo"), asked_at=asked_at, unasked={"new": NOW - 5}),
        workers=(beat(), other),
        connections=None if connected is None else frozenset(there),
        now=NOW,
        looked_at=NOW,
    )

    assert liveness.instrumented_only is known
    assert set(liveness.readers.unasked) == (set() if known else {"new"})


@pytest.mark.parametrize("ahead", [-60.0, 60.0])
def test_a_workers_clock_may_be_wrong_by_a_minute(ahead: float) -> None:
    task = runs(1, started_at=NOW - 4 + ahead)
    seen = merge(None, recorded(header=(ran(0), task)))
    asked = consumers(W1, asked_at=NOW - 8)
    young = beat(first=NOW - 20, last=NOW - 1, ahead=ahead)
    here = replace(RUNNING, since=NOW - 4 + ahead)

    assert placed(young, sighting=seen, asked=asked, queues_read=True).places == {"h1": here}


@pytest.mark.parametrize("ahead", [-60.0, 60.0])
def test_a_wrong_clock_hides_no_restart(ahead: float) -> None:
    task = runs(1, started_at=NOW - 40 + ahead)
    seen = merge(None, recorded(header=(ran(0), task)))
    anew = beat(first=NOW - 20, last=NOW - 1, ahead=ahead)

    assert placed(anew, sighting=seen, queues_read=True).places == {"h1": NOWHERE}


def in_its_second_step(**fields: Any) -> Sighting:
    """Return a chord whose callback, a chain, has come to its second step."""
    callback = Callback(task_id="last", published_at=NOW - 60, started_at=NOW - 59, **fields)
    return merge(None, recorded(counted=2, missing=(), header=(ran(0), ran(1)), callback=callback))


def test_a_callback_of_several_tasks_is_where_its_present_one_is() -> None:
    seen = in_its_second_step(state="started", worker="w1@zoo")
    liveness = Liveness(consumers=consumers(W1), workers=[beat(active=("second",))], now=NOW, looked_at=NOW)
    here = Place(kind="active", name="w1@zoo", since=NOW - 59)

    assert with_running(seen, liveness, "second").places == {"last": here}


def test_a_callback_between_two_of_its_tasks_is_not_lost() -> None:
    seen = in_its_second_step(state="started")

    assert placed(beat(), sighting=seen, asked=consumers(W1), queues_read=True).places == {}


QUEUES = tuple(Queue(name=name, length=1, unacked=0) for name in ("celery", "low"))
ANSWERED = replace(W1, queues=("celery",))


def numbers(*workers: WorkerRecord, asked: Consumers) -> list[int | None]:
    """Return how many workers read `celery` and `low`."""
    liveness = Liveness(consumers=asked, workers=workers, now=NOW, looked_at=NOW)
    return [queue.consumers for queue in liveness.with_readers(QUEUES)]


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        ((), [1, 0]),
        ((beat(),), [1, 0]),
        ((beat(queues=("low",)),), [0, 1]),
        ((beat(queues=()),), [0, 0]),
        ((beat(gone=True),), [0, 0]),
        ((beat(last=NOW - STALE_BEAT - 1),), [0, 0]),
        ((beat(last=NOW - 60), beat(first=NOW - 5)), [1, 0]),
        ((beat(), beat("w2@zoo", queues=("celery", "low"))), [2, 1]),
        ((beat("w2@zoo", queues=("celery",), gone=True),), [1, 0]),
    ],
    ids=[
        *("it answered", "and beats", "it reads another queue now", "it takes no more tasks", "it has gone"),
        *("it is silent", "it was started anew", "another did not answer", "another has gone"),
    ],
)
def test_a_worker_that_beats_tells_what_it_reads_and_another_what_it_answered(
    workers: tuple[WorkerRecord, ...], expected: list[int]
) -> None:
    """What was answered may be a minute old, and a busy worker answers nobody."""
    assert numbers(*workers, asked=consumers(ANSWERED)) == expected


def test_where_nobody_could_be_asked_nobody_knows_who_reads_a_queue() -> None:
    assert numbers(beat(), asked=Consumers()) == [None, None]


def test_what_the_broker_counts_itself_is_believed() -> None:
    """RabbitMQ knows of other consumers too."""
    liveness = Liveness(consumers=consumers(W1, counted={"low": 3}), workers=(), now=NOW, looked_at=NOW)
    counted = (Queue(name="low", length=1, unacked=0, consumers=3),)

    assert liveness.with_readers(counted) == counted


def test_a_callback_that_waits_for_its_chord_is_not_sent() -> None:
    unsent = Place(kind="unsent", name="inner")
    waiting = merge(None, recorded(header=(ran(0), header_task(1))))

    assert placed(beat(), place=unsent, sighting=waiting).places == {"h1": unsent}


def test_what_was_sent_and_taken_is_not_where_a_late_message_tells() -> None:
    unsent = Place(kind="unsent", name="inner")
    sent = merge(None, recorded(header=(ran(0), header_task(1, state="published", published_at=NOW - 3))))

    assert placed(beat(), place=unsent).places == {"h1": RUNNING}
    assert placed(beat(gone=True), place=unsent).places == {"h1": Place(kind="unknown")}
    assert placed(beat(), place=unsent, sighting=sent).places == {"h1": Place(kind="unknown")}
