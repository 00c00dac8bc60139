"""Scrapes a monitor as Prometheus does, and keeps what it sees."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Collection, Mapping
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.alerts.recording import Recording, Value, metric_of, series_name
from tests.support.polling import wait_until

#: Prometheus gives a scrape no longer than it has until the next.
_PATIENCE = 0.9
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class Scraper:
    """Asks an address every `interval` seconds in a thread of its own, from its start until it is stopped."""

    def __init__(self, url: str, interval: float) -> None:
        self.interval = interval
        self.moments: dict[str, int] = {}
        self._url = url
        self._rows: list[dict[str, float] | None] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scraper", daemon=True)
        self._started_at = time.time()
        self._thread.start()

    def mark(self, moment: str) -> None:
        """Keep that this was done before the next scrape."""
        self.moments[moment] = len(self._rows)

    def more(self, number: int) -> None:
        """Wait for so many more scrapes."""
        wanted = len(self._rows) + number
        wait_until(lambda: len(self._rows) >= wanted, f"{number} scrapes", (number + 2) * self.interval)

    def stop(self) -> None:
        """Scrape no more."""
        self._stopping.set()
        self._thread.join()

    def recording(self, metrics: Collection[str], **about: Any) -> Recording:
        """Return what was seen of these metrics; `about` are the recording's other fields."""
        rows = [row or {} for row in self._rows]
        names = {name: None for row in rows for name in row if metric_of(name) in metrics}
        series: dict[str, tuple[Value, ...]] = {name: tuple(row.get(name) for row in rows) for name in names}
        up = tuple(float(row is not None) for row in self._rows)
        times = {"interval": self.interval, "started_at": round(self._started_at, 3)}
        return Recording(**about, **times, moments=self.moments, up=up, series=series)

    def _run(self) -> None:
        due = time.monotonic()
        with httpx.Client(timeout=self.interval * _PATIENCE) as client:
            while not self._stopping.wait(max(0.0, due - time.monotonic())):
                self._rows.append(_scraped(client, self._url))
                due += self.interval


def words(expressions: str) -> frozenset[str]:
    """Return every word of these expressions that could be a metric's name."""
    return frozenset(_NAME.findall(expressions))


def _scraped(client: httpx.Client, url: str) -> Mapping[str, float] | None:
    try:
        answer = client.get(url)
    except httpx.HTTPError:
        return None
    if answer.status_code != httpx.codes.OK:
        return None
    return {
        series_name(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
