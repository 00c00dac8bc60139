"""The Grafana dashboards as tests read them: their panels, and their queries as Prometheus would be asked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.servers import ROOT

FOLDER = ROOT / "dashboards" / "grafana"
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))
}


@dataclass(frozen=True, slots=True)
class Query:
    """One target of a panel; `instant` tells whether Grafana asks for one moment or for a span of time."""

    dashboard: str
    panel: str
    text: str
    instant: bool

    def __str__(self) -> str:
        """Return where to find it."""
        return f"{self.dashboard}, {self.panel}: {self.text}"

    def answer(self, prometheus: str, since: float) -> list[dict[str, Any]]:
        """Return the series that Prometheus tells of now, or of the time since then (Unix seconds)."""
        now = time.time()
        moment = {"query": self.concrete(span=f"{now - since:.0f}s"), "time": now}
        span = {**moment, "start": since, "end": now, "step": 5}
        url = f"{prometheus}/api/v1/query{'' if self.instant else '_range'}"
        told = httpx.get(url, params=moment if self.instant else span, timeout=10.0, trust_env=False).json()
        assert told["status"] == "success", f"{self}: {told}"
        found: list[dict[str, Any]] = told["data"]["result"]
        return found

    def concrete(
        self, *, job: str = ".+", callback: str = ".+", rate_interval: str = "1m", span: str = "1h"
    ) -> str:
        """Return the query with every variable replaced, as Grafana sends it."""
        values = {"$__rate_interval": rate_interval, "$__range": span, "$job": job, "$callback": callback}
        text = self.text
        for variable, value in values.items():
            text = text.replace(variable, value)
        return text


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def _queries() -> Iterator[Query]:
    for name, dashboard in DASHBOARDS.items():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                yield Query(name, panel["title"], target["expr"], target.get("instant", False))


QUERIES = tuple(_queries())


def unanswered(prometheus: str, since: float, seconds: float) -> list[str]:
    """Return the queries that show nothing of the time since then, after waiting at most so long for data."""
    deadline = time.monotonic() + seconds
    left = list(QUERIES)
    while left := [query for query in left if not query.answer(prometheus, since)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    return [str(query) for query in left]
