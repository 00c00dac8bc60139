"""A callback that is delivered twice for real: real monitors name it, and count it once for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.faults.bench import HERE, Bench, Sent
from tests.faults.chord_cases import duplicate_callback_delivery
from tests.support.polling import wait_until
from tests.support.servers import celery

pytestmark = pytest.mark.faults

CALLBACK = "project.held_late_callback"
REPEATS = ("celery_chord_callback_repeats_total", CALLBACK)
SCANNED = ("chordwatch_scan_timestamp_seconds",)


class Monitor:
    """A monitor of the installation that looks every half second."""

    def __init__(self, name: str, bench: Bench) -> None:
        command = celery("-A", "project", "chords", "monitor", "--port", "0", "--interval", "0.5")
        bench.processes.start(name, *command, cwd=HERE, env=bench.environment())
        address = re.compile(r"http://127\.0\.0\.1:\d+(?= )")
        self._address = wait_until(lambda: address.search(bench.log(name)), "the address")[0]

    def value(self, series: tuple[str, ...]) -> float | None:
        """Return the value of a series, by its name and its label."""
        families = text_string_to_metric_families(self._get("/metrics").text)
        samples = [sample for family in families for sample in family.samples]
        return {(s.name, *s.labels.values()): s.value for s in samples}.get(series)

    def looks_again(self) -> None:
        """Wait for two more looks."""
        for _ in range(2):
            before = self.value(SCANNED)
            wait_until(lambda before=before: self.value(SCANNED) != before, "the next look")

    def chord(self, sent: Sent) -> dict[str, Any]:
        """Return what it says of a chord."""
        answer = self._get(f"/api/chords/{sent.chord_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self._address}{path}", timeout=20)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An instrumented installation with one worker."""
    bench = Bench(folder=tmp_path, mode="instrumented")
    try:
        bench.worker("main", concurrency=3)
        yield bench
    finally:
        bench.close()


def test_it_is_named_and_counted_once_by_all_monitors(bench: Bench) -> None:
    first = Monitor("first", bench)
    bench.send("healthy")
    sent = duplicate_callback_delivery(bench)
    wait_until(lambda: first.value(REPEATS) == 1, "the repeated callback is counted")
    second = Monitor("second", bench)
    wait_until(lambda: second.value(REPEATS) == 1, "another monitor tells the same")
    for monitor in (second, first):
        monitor.looks_again()
        assert monitor.value(REPEATS) == 1
        chord = monitor.chord(sent)
        assert (chord["state"], chord["health"], chord["counted"]) == ("succeeded", "done", 2)
        (verdict,) = chord["verdicts"]
        assert (verdict["cause"], verdict["tasks"]) == ("duplicate_delivery", [sent.callback_id])
        assert verdict["summary"].startswith(f"The callback {CALLBACK} ran twice without a retry")
