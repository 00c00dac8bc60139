"""An installation that Prometheus and Alertmanager watch at test speed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.alerts.watched import Watched
from tests.support.servers import Processes, RedisServer


@pytest.fixture
def watched(redis: RedisServer, processes: Processes) -> Iterator[Watched]:
    """Return a watched installation without workers."""
    watched = Watched(redis, processes)
    yield watched
    watched.close()
