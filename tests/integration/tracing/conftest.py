"""A bench for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.tracing.bench import Bench
from tests.support.otlp import Collector
from tests.support.servers import Processes, RedisServer


@pytest.fixture
def bench(redis: RedisServer, processes: Processes, collector: Collector) -> Iterator[Bench]:
    """A Redis and a collector, without workers."""
    bench = Bench(redis, processes, collector)
    yield bench
    bench.close()
