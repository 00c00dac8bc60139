from __future__ import annotations

import pytest

from chordwatch.evidence.facts import Consumers, Place
from chordwatch.model import Callback
from chordwatch.store.protocol import WorkerRecord
from chordwatch.watch import Sighting
from chordwatch.watch.merge import merge
from chordwatch.watch.running import STALE_BEAT, Liveness, stale_after, with_running
from chordwatch.watch.words import unlocated, waits_for
from tests.unit.recorded import beat, ran, recorded, runs
from tests.unit.seen import NOW, W1, consumers, in_queue

RUNNING = Place(kind="active", name="w1@zoo", since=NOW - 5, attempt=0)


def placed(
    *workers: WorkerRecord,
    place: Place | None = None,
    looked_at: float = NOW,
    asked: Consumers | None = None,
    sighting: Sighting | None = None,
) -> Sighting:
    """Return the recorded chord whose `h1` runs, with its place as the X-ray knows it."""
    liveness = Liveness(consumers=asked or Consumers(), workers=workers, now=NOW, looked_at=looked_at)
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

    assert placed(sighting=seen).places == {}


def test_a_prefork_worker_that_did_not_answer_runs_it_only_if_it_has_beaten_since() -> None:
    asked, unknown = consumers(), {"h1": Place(kind="unknown")}
    silent, beating = beat(pool="prefork", last=NOW - 1), beat(pool="prefork", last=NOW + 1)

    assert placed(silent, asked=asked).places == unknown
    assert placed(beating, asked=asked).places == {"h1": RUNNING}
    assert placed(silent).places == {"h1": RUNNING}
    assert placed(beat(pool="solo", last=NOW - 1), asked=asked).places == {"h1": RUNNING}


def test_heartbeats_that_are_far_apart_may_be_older() -> None:
    assert stale_after(2.0) == STALE_BEAT
    assert stale_after(60.0) == 300.0


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
    [beat(gone=True), beat(last=NOW - STALE_BEAT - 1), beat(pool="prefork", last=NOW - 1)],
    ids=["said goodbye", "silent", "prefork, and did not answer"],
)
def test_a_worker_that_may_be_dead_reads_nothing(worker: WorkerRecord) -> None:
    assert readers(worker) == []


def test_where_workers_cannot_be_asked_heartbeats_do_not_stand_for_all() -> None:
    assert readers(beat(), asked=Consumers()) == []
