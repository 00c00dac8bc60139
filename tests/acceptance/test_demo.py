"""`make demo` as a stranger runs it: real servers, real workers, and nothing left of them afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from chordwatch.model import HEALTHS
from tasks.demo.services import PORTS
from tasks.scenarios import SCENARIOS
from tests.support.grafana import unanswered
from tests.support.noted import NOTED_LATE
from tests.support.polling import wait_until
from tests.support.servers import ROOT, clean_environment

MARK = "ACCEPTANCE_RUN"
URL = re.compile(r"^  \S+ +(http://\S+)$", re.MULTILINE)
PROMETHEUS = re.compile(r"^  prometheus +(http://[^/]+)", re.MULTILINE)
CHORD_FIELDS = {
    "chord_id",
    "state",
    "health",
    "size",
    "counted",
    "missing",
    "callback",
    "verdicts",
    "version",
}

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="finds leftover processes in /proc"
)


class Demo:
    """A running demo; every process that comes of it carries `mark` in its environment."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.mark = uuid.uuid4().hex
        self.data = folder / "data"
        self._output = folder / "output"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tasks.demo", "--data", str(self.data), *arguments],
                cwd=ROOT,
                env=clean_environment() | {MARK: self.mark},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What the demo has printed so far."""
        return self._output.read_text(encoding="utf-8")

    def said(self, words: str) -> Callable[[], bool]:
        """Return whether the demo has said so; fails when it has ended without."""

        def has_said() -> bool:
            ended = self.process.poll() is not None
            found = words in self.output
            assert found or not ended, f"the demo ended with {self.process.returncode}: {self.output}"
            return found

        return has_said

    def processes(self) -> dict[int, str]:
        """Return all processes that came of this demo, with their command lines."""
        wanted = f"{MARK}={self.mark}".encode()
        return {
            int(folder.name): command.replace("\0", " ")
            for folder in Path("/proc").iterdir()
            if folder.name.isdigit() and wanted in read(folder / "environ").split(b"\0")
            if (command := read(folder / "cmdline").decode(errors="replace"))
        }

    def kill(self) -> None:
        """End whatever is left, so that a failure leaves nothing either."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Demo]:
    demo = Demo(folder, *arguments)
    try:
        yield demo
    finally:
        demo.kill()


@contextmanager
def occupied(port: int) -> Iterator[None]:
    """Make sure that somebody listens on `port`."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", port))
            server.listen()
        except OSError:
            pass  # somebody does already
        yield


def status(url: str) -> int:
    return httpx.get(url, timeout=30.0, trust_env=False).status_code


def test_a_minute_of_demo_plays_everything_as_expected_and_leaves_nothing(tmp_path: Path) -> None:
    summary = tmp_path / "demo.json"
    begun = time.time()
    with running(tmp_path, "--for", "60", "--summary", str(summary)) as demo:
        wait_until(demo.said("scenarios ended as expected"), "the tour is over", 200)
        shown = set(URL.findall(demo.output))
        while_running = {url: status(url) for url in shown}
        silent = panels_without_data(demo.output, begun)
        code = demo.process.wait(90)

        assert code == 0, demo.output
        assert demo.processes() == {}
    document = json.loads(summary.read_text(encoding="utf-8"))
    assert set(document["urls"].values()) == shown
    assert while_running == dict.fromkeys(shown, 200)
    assert silent == []
    check_summary(document)


def panels_without_data(output: str, begun: float) -> list[str]:
    """Return the queries of the Grafana dashboards that show nothing of the tour; needs a Prometheus in CI alone."""
    prometheus = PROMETHEUS.search(output)
    if prometheus is None:
        assert "CI" not in os.environ, "CI needs Prometheus (Debian: apt-get install prometheus)"
        return []
    return unanswered(prometheus[1], begun, 10.0)


def check_summary(document: dict[str, Any]) -> None:
    assert set(document) == {"urls", "chords", "scenarios"}
    assert {"dashboard", "flower", "model-service", "monitor", "workflow-api"} <= set(document["urls"])
    assert set(document["scenarios"]) == set(SCENARIOS)
    chords = {chord["chord_id"]: chord for chord in document["chords"]}
    for name, played in document["scenarios"].items():
        assert set(played) == {"chord_id", "expected", "health", "state"}
        assert played["expected"] == SCENARIOS[name].expected
        assert played["expected"] in {played["health"], played["state"]}
        if played["expected"] != "none":
            assert set(chords[played["chord_id"]]) >= CHORD_FIELDS
            assert chords[played["chord_id"]]["health"] in HEALTHS
            check_record(chords[played["chord_id"]])


def check_record(chord: dict[str, Any]) -> None:
    """Each chord was recorded: what Redis forgets while a chord runs is known."""
    assert chord["instrumented"]
    assert chord["callback"]["task_id"]
    assert chord["callback"]["name"].startswith("tasks.")
    assert chord["header"]
    for part in chord["header"]:
        assert part["task_id"]
        assert part["name"]
        if part["counted"]:
            assert part["worker"]
            assert chord["opened_at"] <= part["started_at"] <= part["finished_at"] <= chord["progressed_at"]
    if chord["state"] in {"succeeded", "failed"}:
        assert chord["counted"] == chord["size"] == len(chord["header"])
        assert chord["finished_at"] >= max(part["started_at"] for part in chord["header"])
        assert chord["finished_at"] >= max(part["finished_at"] for part in chord["header"]) - NOTED_LATE


def test_sigterm_in_the_middle_leaves_nothing_and_a_taken_port_is_replaced(tmp_path: Path) -> None:
    taken = PORTS["workflow-api"]
    with occupied(taken), running(tmp_path) as demo:
        wait_until(demo.said("services answer"), "the services answer", 100)
        workflow_api = next(url for url in URL.findall(demo.output) if "/api/workflows" in url)
        answered = status(workflow_api)
        # The worst moment: a fault has just started a worker of its own.
        wait_until(lambda: any("victim-" in line for line in demo.processes().values()), "the fault", 60)
        demo.process.send_signal(signal.SIGTERM)
        code = demo.process.wait(90)

        assert demo.processes() == {}
    assert code == 128 + signal.SIGTERM, demo.output
    assert answered == 200
    assert f":{taken}/" not in workflow_api
    assert f"Port {taken} is taken, so workflow-api listens on " in demo.output
    assert "Traceback" not in demo.output


def test_nothing_is_left_when_the_demo_itself_is_killed(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        wait_until(lambda: any("tasks worker" in line for line in demo.processes().values()), "a worker", 40)
        os.kill(demo.process.pid, signal.SIGKILL)

        wait_until(lambda: demo.processes() == {}, "all processes are gone", 20)


def test_a_service_that_cannot_start_is_named_with_its_log(tmp_path: Path) -> None:
    broken = tmp_path / "bin"
    broken.mkdir()
    (broken / "prometheus").write_text("#!/bin/sh\necho broken; exit 7\n", encoding="utf-8")
    (broken / "prometheus").chmod(0o755)
    path = f"{broken}{os.pathsep}{os.environ['PATH']}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", path)
        demo = Demo(tmp_path, "--for", "5")
    try:
        code = demo.process.wait(90)

        assert demo.processes() == {}
    finally:
        demo.kill()
    assert code == 1
    log = demo.data / "logs" / "prometheus.log"
    assert f"prometheus ended by itself with exit code 7; its log is {log}." in demo.output
    assert log.read_text(encoding="utf-8") == "broken\n"
    assert "Traceback" not in demo.output
