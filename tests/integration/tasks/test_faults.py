from __future__ import annotations

import os
import sys
import time
from datetime import datetime, timezone
from typing import Any

import pytest

from tests.integration.tasks.conftest import Stack
from tests.support.pace import within
from tests.support.polling import wait_until

pytestmark = pytest.mark.faults

Played = dict[str, dict[str, Any]]


def settled(stack: Stack, ids: dict[str, Any], *, size: int | None, counted: int) -> None:
    """Wait until the chord is where it is going to stay: open, with so many parts counted."""
    expected = {"size": size, "counted": counted, "claim": None}
    wait_until(lambda: stack.counters(ids["chord_id"]) == expected, f"the chord has {expected}")
    assert stack.meta(ids["callback_id"])["status"] == "PENDING"


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_worker_leaves_its_part_started_and_nowhere(stack: Stack, started: Played) -> None:
    ids = started["worker_killed"]

    settled(stack, ids, size=3, counted=2)

    (lost,) = [meta for meta in stack.metas(status="STARTED") if "victim-" in meta["result"]["hostname"]]
    wait_until(lambda: not is_running(lost["result"]["pid"]), "the victim is gone")
    assert list(stack.broker.scan_iter("*victim-*")) == []


def test_a_part_waits_in_a_queue_nobody_consumes(stack: Stack, started: Played) -> None:
    ids = started["queue_unconsumed"]

    settled(stack, ids, size=3, counted=2)

    (message,) = stack.messages("gpu")
    assert (message["headers"]["group"], message["headers"]["group_index"]) == (ids["chord_id"], 2)


def test_the_callback_waits_in_a_queue_nobody_consumes(stack: Stack, started: Played) -> None:
    ids = started["callback_queue_unconsumed"]

    (message,) = wait_until(lambda: stack.messages("mail"), "the callback is in its queue")

    assert message["headers"]["id"] == ids["callback_id"]
    assert stack.counters(ids["chord_id"]) == {"size": None, "counted": 0, "claim": "done"}


def test_an_ignored_part_is_never_counted(stack: Stack, started: Played) -> None:
    settled(stack, started["header_ignored"], size=3, counted=2)

    (ignored,) = stack.metas(name="tasks.faults.ignored")
    assert ignored["status"] == "STARTED"


def test_half_a_chord_was_published_when_the_producer_died(stack: Stack, started: Played) -> None:
    ids = started["producer_dies"]

    settled(stack, ids, size=None, counted=2)

    assert len(stack.metas(group_id=ids["chord_id"], status="SUCCESS")) == 2


def test_without_its_size_a_chord_counts_all_parts_and_stays_open(stack: Stack, started: Played) -> None:
    settled(stack, started["size_key_deleted"], size=None, counted=2)


def test_a_retry_waits_for_two_hours(stack: Stack, started: Played) -> None:
    ids = started["retry_in_two_hours"]

    settled(stack, ids, size=3, counted=2)

    (waiting,) = stack.metas(group_id=ids["chord_id"], status="RETRY")
    (delivered,) = [text for text in stack.broker.hvals("unacked") if waiting["task_id"] in text]
    retry_at = datetime.fromisoformat(delivered.split('"eta": "')[1].split('"')[0])
    seconds = (retry_at - datetime.now(timezone.utc)).total_seconds()
    assert 7000 < seconds <= 7200


def test_an_inner_failure_never_reaches_the_outer_chord(stack: Stack, started: Played) -> None:
    settled(stack, started["nested_failure"], size=2, counted=1)

    callbacks = {ids["callback_id"] for ids in started.values()}
    failures = [meta for meta in stack.metas(status="FAILURE") if meta["task_id"] not in callbacks]
    # The inner callback: its error is stored without name and group, and known to nobody else.
    (inner,) = [
        meta
        for meta in failures
        if "name" not in meta and "no such part" in str(meta["result"]["exc_message"])
    ]
    assert inner["result"]["exc_type"] == "ChordError"


def test_faults_stay_as_they_are(stack: Stack, started: Played) -> None:
    """The slowest scenario ends long after the faults were made; they must not have healed until then."""
    stack.outcome(started["slow"]["result_id"])

    faults = ("worker_killed", "queue_unconsumed", "callback_queue_unconsumed", "header_ignored")
    more = ("producer_dies", "size_key_deleted", "retry_in_two_hours", "nested_failure")
    states = {name: stack.meta(started[name]["result_id"])["status"] for name in (*faults, *more)}
    assert set(states.values()) == {"PENDING"}, states


def test_a_scenario_is_started_several_times_from_the_command_line(stack: Stack) -> None:
    done = stack.run("-m", "tasks.run", "shared_context", "-n", "2")

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        name, _, chord_id, _, callback_id, *command = line.split()
        assert name == "shared_context"
        assert command == ["celery", "-A", "tasks", "chords", "show", chord_id]
        assert stack.outcome(callback_id)["status"] == "SUCCESS"


def test_an_interrupted_run_leaves_no_process(stack: Stack) -> None:
    """SIGTERM while the fault waits for its victim: the victim goes as well."""
    process = stack.spawn("interrupted", sys.executable, "-m", "tasks.run", "worker_killed")
    wait_until(lambda: victims(stack), "the victim's queue is there")
    process.terminate()

    assert process.wait(90) == 143
    assert victims(stack) == []


def victims(stack: Stack) -> list[str]:
    return list(stack.broker.scan_iter("*victim-*"))


def test_an_unreachable_redis_is_one_sentence(stack: Stack) -> None:
    url = "redis://:secret@127.0.0.1:1"

    begun = time.monotonic()
    done = stack.run("-m", "tasks.run", "happy", DEMO_REDIS_URL=url)

    assert done.returncode == 3
    assert done.stderr == "Redis cannot be reached at 127.0.0.1:1; is it running?\n"
    assert within(time.monotonic() - begun, 15)
