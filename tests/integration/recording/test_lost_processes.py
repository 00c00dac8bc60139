"""Processes that are killed, that are replaced all the time, and that are forked while a flush is under way."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.support.polling import wait_until
from tests.support.servers import kill
from tests.support.workflows.canvases import Author, chord_of, task
from tests.support.workflows.crew import Crew
from tests.support.workflows.oracle import Event
from tests.support.workflows.rounds import compare, compare_counters, fates_of

FLUSH = 0.1
#: A flush on a busy machine, and the time that a test takes to kill.
GRACE = 0.4


def ended(crew: Crew) -> list[Event]:
    return [event for event in crew.events() if event["event"] == "end"]


def test_a_killed_child_is_told_by_the_main_process_and_all_else_stays_right(crew: Crew) -> None:
    crew.worker("forks", "-P", "prefork", "-c", "2", CHORDWATCH_FLUSH_INTERVAL="0.05")
    producer = crew.producer("producer")
    victim = task(99, "beta", seconds=60.0)
    producer.publish(chord_of(victim, *(task(label, seconds=0.3) for label in range(6))))
    wait_until(lambda: len(ended(crew)) >= 2, "others run")

    time.sleep(GRACE)  # what the child has noted so far is flushed
    started = next(event for event in crew.events() if event["name"] == "beta")
    os.kill(started["pid"], signal.SIGKILL)
    crew.quiet(killed=1)

    with crew.recorded() as store:
        fates = compare(crew, store, "after the child was killed", unended={started["id"]})
        seen = store.get(started["id"])
    assert [fate.state for fate in fates.values()] == ["failed"]
    assert seen
    killed = next(part for part in seen.chord.header if part.task_id == started["id"])
    assert killed.state == "failed"
    assert "WorkerLostError" in (killed.error or "")


def test_a_killed_worker_loses_what_it_noted_within_a_flush_interval_and_no_more(crew: Crew) -> None:
    worker = crew.worker("forks", "-P", "prefork", "-c", "2", CHORDWATCH_FLUSH_INTERVAL=str(FLUSH))
    producer = crew.producer("producer")
    producer.publish(chord_of(*(task(label, seconds=0.01) for label in range(400))))
    began = wait_until(crew.events, "the worker is busy")[0]["at"]
    wait_until(lambda: time.time() > began + FLUSH + 2 * GRACE, "it has flushed some of its work")

    killed_at = time.time()
    kill(worker)

    survived = [event for event in crew.events() if event["at"] < killed_at - FLUSH - GRACE]
    assert survived
    with crew.recorded() as store:
        (fate,) = fates_of(crew).values()
        seen = store.get(fate.chord_id)
    assert seen
    assert (seen.chord.state, seen.chord.size) == ("open", 400)
    parts = {part.task_id: part for part in seen.chord.header}
    lost = [
        event
        for event in survived
        if not (
            parts[event["id"]].started_at if event["event"] == "start" else parts[event["id"]].finished_at
        )
    ]
    assert lost == []
    runs = {event["id"] for event in crew.events() if event["event"] == "start"}
    assert {part.task_id for part in seen.chord.header if part.started_at} <= runs
    assert sum(part.state == "succeeded" for part in seen.chord.header) == seen.chord.counted


def test_children_that_live_for_one_task_each_lose_and_double_nothing(crew: Crew) -> None:
    crew.worker(
        "forks", "-P", "prefork", "-c", "2", "--max-tasks-per-child", "1", CHORDWATCH_FLUSH_INTERVAL="60"
    )
    producer = crew.producer("producer", CHORDWATCH_FLUSH_INTERVAL="0.01")
    body = task(0, "collect", do="retry", times=1, fails=False)
    producer.publish(*(chord_of(*(task(label) for label in range(4)), body=body) for _ in range(4)))

    crew.quiet()
    pids = {event["pid"] for event in crew.events()}
    runs = len(crew.events()) // 2
    assert len(pids) == runs > 16
    assert producer.finish() == 0
    end_workers(crew)

    with crew.recorded() as store:
        compare_counters(store, compare(crew, store, "each task in a child of its own"))


@pytest.mark.faults
def test_a_pool_that_grows_while_its_main_process_flushes_neither_locks_up_nor_counts_twice(
    crew: Crew,
) -> None:
    crew.worker("forks", "-P", "prefork", "-c", "1", "-Q", "celery,limited", CHORDWATCH_FLUSH_INTERVAL="0.01")
    producer = crew.producer("producer", CHORDWATCH_FLUSH_INTERVAL="0.01")
    author = Author(7)
    for _ in range(4):
        producer.publish(*(author.workflow() for _ in range(3)))
        assert crew.control().pool_grow(1, reply=True, timeout=5.0)

    crew.quiet()
    assert producer.finish() == 0
    assert len({event["pid"] for event in crew.events()}) > 2
    end_workers(crew)

    with crew.recorded() as store:
        compare_counters(store, compare(crew, store, "while the pool grew"))


def end_workers(crew: Crew) -> None:
    """End the worker, as an operator does; it has as long as it needs."""
    process = crew.workers["forks"]
    process.terminate()
    assert process.wait(90) == 0, crew.processes.log("forks")
