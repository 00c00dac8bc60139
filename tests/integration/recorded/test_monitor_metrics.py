"""What the monitor of an instrumented installation serves, with its store and without."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.recorded.conftest import HERE, Installation
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, celery, kill

TOTAL, WORK, STUMBLE = "project.total", "project.work", "project.stumble"
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
def store(processes: Processes) -> Iterator[RedisServer]:
    """A Redis of its own for the store."""
    server = RedisServer(processes)
    yield server
    server.close()


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


def test_a_worker_that_vanishes_is_down(installation: Installation, monitor: Monitor) -> None:
    worker = installation.worker(concurrency=1)
    monitor.wait_for(("celery_worker_up", "w1@here"), 1)
    kill(worker)
    monitor.wait_for(("celery_worker_up", "w1@here"), 0)


def test_without_its_store_the_monitor_goes_on(
    installation: Installation, monitor: Monitor, store: RedisServer
) -> None:
    installation.publish(3, 0.01)
    monitor.wait_for(OPEN, 1)
    monitor.wait_for(("celery_chord_started_total", TOTAL), 1)
    kill(store.process)
    monitor.wait_for(UP, 0)
    found = monitor.metrics()

    assert not [key for key in found if key[0].endswith("_total") or key == ("chordwatch_store_bytes",)]
    monitor.wait_for(OPEN, 1)
    assert monitor.http.get("/readyz").status_code == 200
    assert [chord["size"] for chord in monitor.http.get("/api/chords").json()] == [3]
