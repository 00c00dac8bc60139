"""What the monitor of an instrumented installation serves, with its store and without."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.recorded.conftest import HERE, Installation
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, celery, kill

TOTAL, WORK, STUMBLE = "project.total", "project.work", "project.stumble"
#: The one queue of the project.
QUEUE = "celery"
UP, OPEN = ("chordwatch_store_up",), ("celery_chord_open", TOTAL)
FINISHED = ("celery_chord_finished_total", TOTAL, "succeeded")


class Monitor:
    """A running monitor of the project."""

    def __init__(self, installation: Installation) -> None:
        processes = installation.processes
        command = celery("-A", "project", "chords", "monitor", "--port", "0", "--interval", "0.5")
        processes.start("monitor", *command, cwd=HERE, env=installation.environment)
        address = re.compile(r"http://127\.0\.0\.1:\d+")
        printed = wait_until(lambda: address.search(processes.log("monitor")), "the address")
        self.http = httpx.Client(base_url=printed[0], timeout=20)

    def metrics(self) -> dict[tuple[str, ...], float]:
        """Return value by name and labels, in the order of their names."""
        answer = self.http.get("/metrics")
        assert answer.status_code == 200
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def wait_for(self, series: tuple[str, ...], value: float | None) -> None:
        """Wait until a series has a value, or is gone."""
        wait_until(lambda: self.metrics().get(series) == value, f"{series} is {value}")


@pytest.fixture
def installation(redis: RedisServer, store: RedisServer, processes: Processes) -> Installation:
    """An instrumented installation whose store is not its broker."""
    return Installation(redis, processes, CHORDWATCH_STORE_URL=store.url(0))


@pytest.fixture
def monitor(installation: Installation) -> Iterator[Monitor]:
    monitor = Monitor(installation)
    yield monitor
    monitor.http.close()


def test_the_counters_tell_what_the_tasks_did(installation: Installation, monitor: Monitor) -> None:
    monitor.wait_for(UP, 1)
    worker = installation.worker(concurrency=2)
    for _ in range(2):
        installation.publish(5, 0.01, retried=1)
    monitor.wait_for(FINISHED, 2)
    found = monitor.metrics()

    # Labels in the order of their names: callback, event, name.
    header = {key[2:]: value for key, value in found.items() if key[0] == "celery_chord_header_tasks_total"}
    assert {key: value for key, value in header.items() if value} == {
        ("published", WORK): 10,
        ("started", WORK): 10,
        ("succeeded", WORK): 10,
        ("published", STUMBLE): 4,
        ("started", STUMBLE): 4,
        ("succeeded", STUMBLE): 2,
        ("retried", STUMBLE): 2,
    }
    assert found["celery_chord_started_total", TOTAL] == 2
    assert found["celery_chord_finished_total", TOTAL, "failed"] == 0
    assert found["celery_chord_callbacks_total", TOTAL, "succeeded"] == 2
    assert found["celery_chord_retries_total", TOTAL, STUMBLE, "header"] == 2
    for name in ("duration", "barrier", "callback_wait", "straggler"):
        assert found[f"celery_chord_{name}_seconds_count", TOTAL] == 2
    assert (
        0
        < found["celery_chord_barrier_seconds_sum", TOTAL]
        < found["celery_chord_duration_seconds_sum", TOTAL]
    )
    assert sum(value for key, value in found.items() if key[0] == "chordwatch_records_dropped_total") == 0
    assert found["chordwatch_store_bytes",] > 0
    assert found[OPEN] == 0

    monitor.wait_for(("celery_worker_up", "w1@here"), 1)
    worker.terminate()
    monitor.wait_for(("celery_worker_up", "w1@here"), None)


def test_a_worker_that_vanishes_is_down_and_what_it_held_is_told(
    installation: Installation, monitor: Monitor
) -> None:
    up, tasks = ("celery_worker_up", "w1@here"), ("celery_worker_chord_tasks", "w1@here")
    worker = installation.worker(concurrency=1)
    monitor.wait_for(up, 1)
    assert monitor.metrics()[tasks] == 0
    installation.publish(3, 60)
    monitor.wait_for(tasks, 3)
    kill(worker)
    monitor.wait_for(up, 0)
    assert monitor.metrics()[tasks] == 3


def test_how_long_a_message_waits_is_told_until_a_worker_takes_it(
    installation: Installation, monitor: Monitor
) -> None:
    waits = ("celery_chord_oldest_queued_timestamp_seconds", QUEUE)
    before = time.time()
    installation.publish(2, 0.01)
    published = time.time()
    installation.publish(2, 0.01)
    monitor.wait_for(OPEN, 2)

    found = monitor.metrics()
    assert before <= found[waits] <= published
    assert found["celery_queue_length", QUEUE] == 4
    assert found["chordwatch_broker_up",] == found["chordwatch_backend_up",] == 1

    installation.worker(concurrency=2)
    monitor.wait_for(FINISHED, 2)
    monitor.wait_for(waits, None)


def test_who_reads_a_queue_is_told_as_it_is_now(installation: Installation, monitor: Monitor) -> None:
    """The monitor asked the workers when there was none, and has nothing to ask about since."""
    readers = ("celery_active_consumer_count", QUEUE)
    monitor.wait_for(UP, 1)
    monitor.wait_for(readers, 0)
    worker = installation.worker(concurrency=1)
    monitor.wait_for(readers, 1)
    worker.terminate()
    monitor.wait_for(readers, 0)


def test_without_its_store_the_monitor_goes_on(
    installation: Installation, monitor: Monitor, store: RedisServer
) -> None:
    installation.publish(3, 0.01)
    monitor.wait_for(OPEN, 1)
    monitor.wait_for(("celery_chord_started_total", TOTAL), 1)
    kill(store.process)
    monitor.wait_for(UP, 0)
    found = monitor.metrics()

    of_the_store = [key for key in found if key[0].endswith("_total") or key == ("chordwatch_store_bytes",)]
    assert {key[0] for key in of_the_store} == {"chordwatch_internal_errors_total"}  # the monitor's own
    assert not [key for key in found if key[0].startswith("celery_worker_")]
    assert found["chordwatch_broker_up",] == found["chordwatch_backend_up",] == 1
    monitor.wait_for(OPEN, 1)
    assert monitor.http.get("/readyz").status_code == 200
    assert [chord["size"] for chord in monitor.http.get("/api/chords").json()] == [3]


def test_when_everything_is_gone_only_that_is_told(store: RedisServer, processes: Processes) -> None:
    """One Redis is broker, result backend and store here."""
    alone = Installation(store, processes)
    monitor = Monitor(alone)
    alone.publish(3, 0.01)
    monitor.wait_for(OPEN, 1)
    kill(store.process)
    monitor.wait_for(UP, 0)
    monitor.wait_for(OPEN, None)

    found = monitor.metrics()
    monitor.http.close()

    assert {key[0] for key in found} == {
        "chordwatch_store_up",
        "chordwatch_backend_up",
        "chordwatch_scan_timestamp_seconds",
        "chordwatch_scan_duration_seconds",
        "chordwatch_internal_errors_total",
    }
    assert found["chordwatch_backend_up",] == 0
    assert 0 < time.time() - found["chordwatch_scan_timestamp_seconds",] < 60
