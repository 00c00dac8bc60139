"""A real Prometheus scrapes names that nobody should give a task, a queue or a worker."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from chordwatch.evidence.facts import Queue
from chordwatch.metrics.labels import label
from chordwatch.service.api import make_api
from chordwatch.service.loop import Glance
from chordwatch.settings import read_settings
from chordwatch.store.protocol import Counters
from chordwatch.watch import Look, Sighting
from chordwatch.watch.recorded import Totals
from tests.support.polling import wait_until
from tests.support.prometheus import prometheus_binary
from tests.support.servers import Processes, free_port
from tests.unit.metrics.test_collector import HOSTILE, chord
from tests.unit.recorded import beat
from tests.unit.seen import NOW

pytestmark = pytest.mark.faults


class Still:
    """What the monitor's loop would be after one look at a hostile installation."""

    def __init__(self) -> None:
        self.errors = Counter[str]()
        look = Look(
            taken_at=time.time() + 600,
            sightings=tuple(Sighting(chord=chord(name)) for name in HOSTILE),
            queues=tuple(Queue(name=name, length=1, unacked=0, consumers=1) for name in HOSTILE),
        )
        counters = Counters(
            started=dict.fromkeys(HOSTILE, 1),
            header_tasks={(name, name, "published"): 1 for name in HOSTILE},
        )
        totals = Totals(
            up=True, counters=counters, workers=tuple(map(beat, HOSTILE)), now=NOW, taken_at=look.taken_at
        )
        self.glance = Glance(look=look, totals=totals)

    def start(self) -> None:
        """There is nothing to start."""

    stop = start


@pytest.fixture
def target() -> Iterator[str]:
    """The monitor's application at an address."""
    port = free_port()
    api = make_api(Still(), read_settings({}))  # type: ignore[arg-type]  # its loop has looked
    server = uvicorn.Server(uvicorn.Config(api, port=port, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the application answers")
    yield f"127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def test_prometheus_takes_every_series(target: str, processes: Processes) -> None:
    place, config = f"127.0.0.1:{free_port()}", processes.folder / "prometheus.yml"
    monitor = {"job_name": "monitor", "static_configs": [{"targets": [target]}]}
    # YAML reads JSON.
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [monitor]}))
    processes.start(
        "prometheus",
        prometheus_binary(),
        f"--config.file={config}",
        f"--storage.tsdb.path={processes.folder / 'data'}",
        f"--web.listen-address={place}",
    )

    def told(path: str, **query: str) -> Any:
        try:
            return httpx.get(f"http://{place}/api/v1/{path}", params=query).json()["data"]
        except (httpx.TransportError, ValueError):
            return {}

    def scraped() -> Any:
        return next((t for t in told("targets").get("activeTargets", ()) if t["lastScrape"] > "1"), None)

    scraped_target = wait_until(scraped, "a scrape")

    assert (scraped_target["health"], scraped_target["lastError"]) == ("up", "")
    queues = wait_until(
        lambda: told("query", query="celery_queue_length").get("result"), "the series are there"
    )
    # For Prometheus a label without a value is none.
    assert {queue["metric"].get("queue_name", "") for queue in queues} == {*map(label, HOSTILE)}
    assert sum(float(queue["value"][1]) for queue in queues) == len(HOSTILE)
