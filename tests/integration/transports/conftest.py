"""One RabbitMQ for all tests of a module: it takes five seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rabbitmq import RabbitServer
from tests.support.servers import Processes, RedisServer


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Processes that live as long as the module's tests."""
    processes = Processes(tmp_path_factory.mktemp("lasting"))
    yield processes
    processes.stop()


@pytest.fixture(scope="module")
def rabbit(lasting: Processes) -> RabbitServer:
    """A RabbitMQ."""
    return RabbitServer(lasting)


@pytest.fixture(scope="module")
def own_redis(lasting: Processes) -> Iterator[RedisServer]:
    """A Redis that only this module's tests use: results in database 1, the store in 2."""
    server = RedisServer(lasting)
    yield server
    server.close()
