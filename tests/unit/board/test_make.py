"""A board of a look: which chords have a row and in what order, queues, workers, numbers and notes."""

from __future__ import annotations

import time
from typing import Any

import pytest

from chordwatch.board.make import (
    MAX_NOTES,
    MAX_QUEUES,
    MAX_TROUBLED,
    MAX_WELL,
    REMEDY_LENGTH,
    TEXT_LENGTH,
    board_of,
)
from chordwatch.board.rows import Board
from chordwatch.evidence.facts import Place, Queue, Worker
from chordwatch.model import OUTCOMES, Callback, Health, Verdict
from chordwatch.store.protocol import Counters
from chordwatch.watch.look import Look, Sighting
from chordwatch.watch.recorded import Totals
from tests.support.pace import within
from tests.unit.recorded import beat
from tests.unit.seen import NOW, open_chord

LOW = Place(kind="queue", name="low")


def sighting(
    chord_id: str, health: Health = "ok", places: dict[str, Place] | None = None, **fields: Any
) -> Sighting:
    chord = open_chord(chord_id=chord_id, health=health, **{"opened_at": NOW - 100, **fields})
    return Sighting(chord=chord, places=places or {})


def verdict(cause: str, outcome: Any, **fields: Any) -> Verdict:
    usual: dict[str, Any] = {
        "certain": True,
        "tasks": (),
        "summary": f"{cause} said.",
        "evidence": (),
        "remedy": f"Mend {cause}.",
        "docs": "",
    }
    return Verdict(cause=cause, outcome=outcome, **{**usual, **fields})


def made(*sightings: Sighting, totals: Totals | None = None, **fields: Any) -> Board:
    seen = Look(taken_at=NOW, sightings=sightings, **fields)
    return board_of(seen, totals, looker="monitor", interval=5)


def told(**fields: Any) -> Totals:
    return Totals(taken_at=NOW, up=True, now=NOW, **fields)


def ids(board: Board) -> list[str]:
    return [row.chord_id for row in board.chords]


def test_the_worst_come_first_and_among_equals_those_that_are_open_for_longest() -> None:
    board = made(
        *(sighting(health, health) for health in reversed(OUTCOMES)),
        sighting("older", "hung", opened_at=NOW - 999),
        sighting("ageless", "hung", opened_at=None, progressed_at=None),
        sighting("old and well", "ok", opened_at=NOW - 9999),
    )

    assert ids(board) == [
        *("older", "hung", "ageless", "looping", "failed", "late"),
        *("waiting", "old and well", "ok"),
    ]


def test_all_open_chords_are_counted_by_health_and_finished_ones_are_not() -> None:
    board = made(
        sighting("a", "hung"),
        sighting("b", "ok"),
        sighting("c", "ok"),
        sighting("over", "done", state="succeeded"),
        sighting("broken", "failed", state="failed"),
        beyond={"tasks.a": (3, 1.0), "tasks.b": (4, 1.0)},
    )

    assert board.counts == {"hung": 1, "looping": 0, "failed": 0, "late": 0, "waiting": 0, "ok": 2}
    assert set(ids(board)) == {"a", "b", "c"}
    assert (board.stuck, board.beyond) == (1, 7)


def test_of_very_many_chords_the_worst_have_rows_and_all_are_counted() -> None:
    many = [sighting(f"c{index}", "late" if index % 3 else "hung") for index in range(9_000)]
    well = [sighting(f"w{index}", "waiting") for index in range(1_000)]

    board = made(*many, *well)

    assert len(board.chords) == MAX_TROUBLED + MAX_WELL
    assert [row.health for row in board.chords[:3_000]] == ["hung"] * 3_000
    assert [row.health for row in board.chords[-MAX_WELL:]] == ["waiting"] * MAX_WELL
    assert (board.counts["hung"], board.counts["late"], board.counts["waiting"]) == (3_000, 6_000, 1_000)


def test_a_row_says_all_of_its_chord() -> None:
    first = verdict("queue_unconsumed", "hung", since=NOW - 60, recovers_at=NOW + 60)
    places = {"h1": LOW, "h2": Place(kind="unacked", name="high"), "h3": Place(kind="active", name="w1")}

    row = made(sighting("c", "hung", places, verdicts=(first,), size=4, counted=1)).chords[0]

    assert (row.callback, row.state, row.size, row.counted) == ("zoo.collect", "open", 4, 1)
    assert (row.cause, row.certain, row.why) == ("queue_unconsumed", True, "queue_unconsumed said.")
    assert (row.remedy, row.queues) == ("Mend queue_unconsumed.", ("high", "low"))
    assert (row.since, row.recovers_at) == (NOW - 60, NOW + 60)
    assert row.waits_for == "1 in queue low, 1 unacked from high, 1 running on w1"


def test_a_chord_without_a_verdict_has_no_cause() -> None:
    row = made(sighting("c", "ok")).chords[0]

    assert (row.cause, row.why, row.remedy) == (None, "", "")


def test_the_cause_is_the_one_under_which_the_metrics_count_the_chord() -> None:
    remark, reason = verdict("duplicate_delivery", "ok"), verdict("worker_lost", "hung", certain=False)

    row = made(sighting("c", "hung", verdicts=(remark, reason))).chords[0]

    assert (row.cause, row.certain, row.remedy) == ("worker_lost", False, "Mend worker_lost.")


def test_parts_that_are_nowhere_to_be_found_stand_beside_the_cause() -> None:
    row = made(sighting("c", "hung", size=10, counted=1, verdicts=(verdict("worker_lost", "hung"),))).chords[
        0
    ]

    assert row.why == "worker_lost said. And 9 more not located."


def test_queues_that_nobody_reads_come_first_then_the_longest() -> None:
    board = made(
        sighting("a", "hung", {"h1": LOW, "h2": LOW}),
        sighting("b", "looping", {"h1": LOW}),
        sighting("c", "late", {"h1": LOW}),
        queues=(
            Queue(name="idle", length=0, unacked=0, consumers=0),
            Queue(name="long", length=900, unacked=3, consumers=2),
            Queue(name="low", length=2, unacked=1, consumers=0),
        ),
        oldest_queued={"low": NOW - 50},
    )

    assert [queue.name for queue in board.queues] == ["low", "long", "idle"]
    assert (board.queues[0].stuck, board.queues[0].oldest_at) == (2, NOW - 50)
    assert (board.queues[1].stuck, board.queues[1].oldest_at, board.queues[1].unacked) == (0, None, 3)


def test_workers_that_beat_are_told_by_their_beats_in_this_machines_time() -> None:
    beats = [
        beat("w1@zoo", last=NOW - 2, active=("a", "b"), reserved=("c",)),
        beat("dead@zoo", last=NOW - 60),
    ]
    totals = Totals(taken_at=NOW + 1000, up=True, now=NOW, workers=beats)

    board = made(totals=totals, workers=(Worker(hostname="w1@zoo"),))

    assert [(row.hostname, row.up) for row in board.workers] == [("dead@zoo", False), ("w1@zoo", True)]
    assert [row.last_beat_at for row in board.workers] == [NOW + 940, NOW + 998]
    assert [row.chord_tasks for row in board.workers] == [0, 3]
    assert board.workers[1].queues == ("celery",)


def test_a_worker_that_said_goodbye_is_left_out_though_it_answered_a_moment_ago() -> None:
    totals = told(workers=[beat("w1@zoo", gone=True)])

    assert made(totals=totals, workers=(Worker(hostname="w1@zoo"),)).workers == ()


def test_of_a_restarted_worker_the_last_life_counts() -> None:
    lives = [beat(first=NOW - 600, last=NOW - 300), beat(first=NOW - 250, last=NOW)]

    assert [row.up for row in made(totals=told(workers=lives)).workers] == [True]


def test_a_worker_that_is_not_instrumented_is_told_by_its_answer() -> None:
    held = Place(kind="reserved", name="bare@zoo")

    board = made(
        sighting("a", places={"h1": held, "h2": LOW}),
        workers=(Worker(hostname="bare@zoo", queues=("z", "a")),),
    )

    assert [(w.hostname, w.up, w.last_beat_at) for w in board.workers] == [("bare@zoo", True, None)]
    assert (board.workers[0].chord_tasks, board.workers[0].queues) == (1, ("a", "z"))


def test_finished_chords_are_summed_by_outcome_and_unknown_without_a_store() -> None:
    counters = Counters(finished={("a", "succeeded"): 3, ("b", "succeeded"): 4, ("a", "failed"): 1})

    assert made(totals=told(counters=counters)).finished == {"succeeded": 7, "failed": 1}
    assert made(totals=None).finished is None
    assert made(totals=Totals(up=False)).finished is None


@pytest.mark.parametrize(
    ("totals", "recorded", "expected"),
    [
        (None, False, False),
        (Totals(up=True), False, False),
        (None, True, True),
        (Totals(up=True, now=NOW, workers=[beat()]), False, True),
        (Totals(up=True, counters=Counters(started={"a": 1})), False, True),
    ],
)
def test_whether_anything_is_instrumented(totals: Totals | None, recorded: bool, expected: bool) -> None:
    assert made(sighting("a", instrumented=recorded), totals=totals).instrumented is expected


def test_notes_are_short_lines_and_not_too_many() -> None:
    board = made(gaps=tuple(f"gap\n{index}" for index in range(100)), partial=True)

    assert board.partial
    assert board.notes[0] == r"gap\n0"
    assert (len(board.notes), board.notes[-1]) == (MAX_NOTES + 1, "80 more notes of this kind.")


def test_other_peoples_texts_are_of_bounded_length() -> None:
    long = "x" * 5000
    board = made(
        sighting(
            long,
            "hung",
            {f"h{index}": Place(kind="queue", name=f"{index}{long}") for index in range(100)},
            callback=Callback(name=long),
            verdicts=(verdict("worker_lost", "hung", summary=long, remedy=long),),
        ),
        queues=tuple(Queue(name=f"{index}{long}", length=1, unacked=0) for index in range(MAX_QUEUES + 5)),
        workers=(Worker(hostname=long, queues=(long,) * 500),),
        gaps=(long,),
    )

    row, queue, worker = board.chords[0], board.queues[0], board.workers[0]
    assert len(row.remedy) == REMEDY_LENGTH
    texts = [row.chord_id, row.callback or "", row.why, row.waits_for, *row.queues, queue.name]
    texts += [worker.hostname, *worker.queues, *board.notes]
    assert max(map(len, texts)) == TEXT_LENGTH
    assert (len(row.queues), len(worker.queues), len(board.queues)) == (20, 20, MAX_QUEUES)


def test_a_board_of_ten_thousand_chords_is_made_in_a_moment() -> None:
    crowd = [
        sighting(f"c{index}", "hung", {"h1": LOW}, verdicts=(verdict("queue_unconsumed", "hung"),))
        for index in range(10_000)
    ]

    started = time.process_time()
    made(*crowd)

    assert within(time.process_time() - started, 2)
