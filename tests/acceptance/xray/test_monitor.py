"""The monitor as a process: what it serves, what it says when its Redis is gone, how it ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from celery import chord
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.xray.stranger import FOR_EVER, HERE, Stranger, chords, group_id, header_ids
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, celery, kill, redis_binary


class Monitor:
    """A running `chords monitor` of a project, and its address."""

    def __init__(self, stranger: Stranger, *options: str) -> None:
        self._processes = stranger.processes
        command = celery("-A", "project", "chords", "monitor", "--port", "0", "--interval", "1", *options)
        env = stranger.environment()
        self.process = self._processes.start("monitor", *command, cwd=HERE, env=env)
        printed = wait_until(lambda: re.search(r"http://127\.0\.0\.1:\d+", self.log()), "the address")
        self.http = httpx.Client(base_url=printed[0], timeout=20)

    def log(self) -> str:
        """Return what it has written."""
        return self._processes.log("monitor")

    def status(self, path: str) -> int:
        """Return the status of a page."""
        return self.http.get(path).status_code

    def wait_for(self, path: str, status: int) -> None:
        """Wait until a page answers with a status."""
        wait_until(lambda: self.status(path) == status, f"{path} answers {status}")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """Three chords: one hangs, one runs, one is done."""
    processes = Processes(tmp_path_factory.mktemp("monitored"))
    redis = RedisServer(processes)
    stranger = Stranger(redis, processes)
    worker = stranger.worker("main")
    t = stranger.tasks
    t.app.set_current()
    hung = chord([t.add.s(1, 1), t.add.s(2, 2).set(queue="nobody")], t.collect.s())
    stranger.results = [
        hung.apply_async(),
        chord([t.add.s(1, 1), t.nap.s(FOR_EVER)], t.linger.s(0)).apply_async(),
        chord([t.add.s(1, 1), t.add.s(2, 2)], t.collect.s()).apply_async(),
    ]
    wait_until(stranger.results[2].ready, "the third chord is done")
    yield stranger
    stranger.close()
    kill(worker)
    processes.stop()
    redis.close()


@pytest.fixture(scope="session")
def monitor(stranger: Stranger) -> Iterator[Monitor]:
    monitor = Monitor(stranger)
    monitor.wait_for("/readyz", 200)
    yield monitor
    monitor.http.close()


def test_chords_are_served_by_health_by_callback_and_page_by_page(
    monitor: Monitor, stranger: Stranger
) -> None:
    ids = [group_id(result) for result in stranger.results]

    everything = second = monitor.http.get("/api/chords")

    def pages_are_the_list() -> bool:
        nonlocal everything, second
        first = monitor.http.get("/api/chords", params={"limit": 2})
        query = {"limit": 2, "cursor": first.headers["X-Next-Cursor"]}
        second = monitor.http.get("/api/chords", params=query)
        everything = monitor.http.get("/api/chords")
        return bool(first.json() + second.json() == everything.json())

    # Equal to the last digit, unless a look of the monitor comes between the three requests.
    wait_until(pages_are_the_list, "the pages together are the list")

    assert {chord["chord_id"] for chord in everything.json()} == set(ids)
    assert len(second.json()) == 1
    assert "X-Next-Cursor" not in second.headers
    assert all("header" not in chord for chord in everything.json())
    for parameters, expected in [
        ({"health": "hung"}, {ids[0]}),
        ({"health": "done"}, {ids[2]}),
        ({"health": "open"}, {ids[0], ids[1]}),
        ({"callback": "project.collect"}, {ids[0]}),  # a finished callback's name is stored nowhere
        ({"callback": "project.other"}, set()),
    ]:
        found = monitor.http.get("/api/chords", params=parameters).json()
        assert {chord["chord_id"] for chord in found} == expected, parameters


def test_one_chord_is_served_under_each_of_its_ids(monitor: Monitor, stranger: Stranger) -> None:
    hung = stranger.results[0]
    for wanted in (group_id(hung), hung.id, header_ids(hung)[1]):
        seen = monitor.http.get(f"/api/chords/{wanted}").json()
        assert seen["chord_id"] == group_id(hung)
        assert [part["task_id"] for part in seen["header"]] == header_ids(hung)
        assert [verdict["cause"] for verdict in seen["verdicts"]] == ["queue_unconsumed"]


def test_queues_and_workers_are_served(monitor: Monitor) -> None:
    queues = {queue["name"]: queue for queue in monitor.http.get("/api/queues").json()}
    workers = monitor.http.get("/api/workers").json()

    assert (queues["nobody"]["length"], queues["nobody"]["consumers"]) == (1, 0)
    assert queues["celery"]["consumers"] == 1
    assert [worker["hostname"] for worker in workers] == ["main@here"]
    assert workers[0]["queues"] == ["celery"]


def test_metrics_are_what_prometheus_reads(monitor: Monitor) -> None:
    families = {f.name: f for f in text_string_to_metric_families(monitor.http.get("/metrics").text)}
    value = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families.values()
        for sample in family.samples
    }

    assert value["celery_chord_open", "project.collect"] == 1
    assert value["celery_chord_unhealthy", "hung", "project.collect", "queue_unconsumed"] == 1
    assert value["celery_queue_length", "nobody"] == 1
    assert value["celery_active_consumer_count", "nobody"] == 0
    assert value["celery_active_consumer_count", "celery"] == 1
    assert value["chordwatch_scan_duration_seconds",] > 0


def test_the_api_describes_itself_without_the_internet(monitor: Monitor) -> None:
    described = monitor.http.get("/openapi.json").json()
    page = monitor.http.get("/docs").text
    assets = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page)

    paths = {
        "/api/chords",
        "/api/chords/{id}",
        "/api/chords/{id}/explain",
        "/api/chords/{id}/report",
        "/api/queues",
        "/api/workers",
        "/metrics",
        "/healthz",
        "/readyz",
    }
    assert paths <= set(described["paths"])
    assert assets
    assert not re.search(r"""["'(]\s*(?:https?:)?//(?!127\.0\.0\.1)""", page)
    for asset in assets:
        assert monitor.status(asset) == 200, asset


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/chords?health=sick", 422),
        ("/api/chords?limit=0", 422),
        ("/api/chords?limit=many", 422),
        ("/api/chords?cursor=-1", 422),
        ("/api/chords/no-such-chord", 404),
        ("/no-such-page", 404),
    ],
)
def test_a_bad_question_gets_a_sentence(monitor: Monitor, path: str, status: int) -> None:
    answer = monitor.http.get(path)

    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert isinstance(answer.json()["error"], str)


def test_changing_anything_is_refused(monitor: Monitor) -> None:
    answer = monitor.http.post("/api/chords")

    assert answer.status_code == 405
    assert set(answer.json()) == {"error"}


def test_a_taken_port_is_a_sentence_and_exit_2(redis: RedisServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = chords(redis.url(0), redis.url(1), "monitor", "--port", str(port))

    assert (done.returncode, done.stdout) == (2, "")
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_its_redis_the_monitor_is_unhealthy_until_it_is_back(processes: Processes) -> None:
    first = RedisServer(processes)
    stranger = Stranger(first, processes)
    monitor = Monitor(stranger)
    for page in ("/healthz", "/readyz"):
        monitor.wait_for(page, 200)
    first.process.send_signal(signal.SIGSTOP)
    try:
        for page in ("/healthz", "/readyz"):
            monitor.wait_for(page, 503)
    finally:
        first.process.send_signal(signal.SIGCONT)
    for page in ("/healthz", "/readyz"):
        monitor.wait_for(page, 200)
    kill(first.process)
    for page in ("/healthz", "/readyz"):
        monitor.wait_for(page, 503)
    answer = monitor.http.get("/api/chords/some-id")
    assert (answer.status_code, set(answer.json())) == (503, {"error"})
    assert "celery_chord_open" not in monitor.http.get("/metrics").text
    processes.start(
        "redis-again", redis_binary(), "--port", str(first.port), "--bind", "127.0.0.1", "--save", ""
    )
    for page in ("/healthz", "/readyz"):
        monitor.wait_for(page, 200)
    assert "Traceback" not in monitor.log()
    monitor.http.close()
    stranger.close()
    first.close()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_monitor_at_once_and_well(
    redis: RedisServer, processes: Processes, ending: signal.Signals
) -> None:
    stranger = Stranger(redis, processes)
    monitor = Monitor(stranger)
    monitor.wait_for("/readyz", 200)
    monitor.process.send_signal(ending)

    assert monitor.process.wait(90) == 0
    assert not group_lives(monitor.process)
    assert "Traceback" not in monitor.log()
    monitor.http.close()
    stranger.close()


def group_lives(process: subprocess.Popen[bytes]) -> bool:
    """Whether any process of its group is left."""
    return subprocess.run(["pgrep", "-g", str(process.pid)], capture_output=True, check=False).returncode == 0
