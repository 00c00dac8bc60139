"""Both stores, each empty, behind one fixture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chordwatch.recording.records import Heartbeat
from chordwatch.store.connections import connection_name
from chordwatch.store.memory import MemoryStore
from chordwatch.store.protocol import Store
from chordwatch.store.redis_store import RedisStore
from tests.support.servers import RedisServer
from tests.support.store_keys import assert_every_key_ends

OpenStore = Callable[..., Store]


@pytest.fixture
def open_redis_store(redis: RedisServer) -> Iterator[Callable[..., RedisStore]]:
    """Open stores in an empty Redis; afterwards every key must have an end."""
    opened: list[RedisStore] = []

    def open_one(*, client_name: str = "chordwatch:test", **settings: Any) -> RedisStore:
        opened.append(RedisStore(redis.url(0), client_name=client_name, **settings))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()
    assert_every_key_ends(redis.broker)


@pytest.fixture(params=["memory", "redis"])
def open_store(request: pytest.FixtureRequest) -> OpenStore:
    """Open stores of either kind."""
    if request.param == "memory":
        return MemoryStore
    opener: OpenStore = request.getfixturevalue("open_redis_store")
    return opener


@pytest.fixture
def open_as_worker(store: Store, request: pytest.FixtureRequest) -> Callable[[Heartbeat], Store]:
    """Open the store as the main process of a worker does."""
    if isinstance(store, MemoryStore):
        return lambda _: store
    opener: OpenStore = request.getfixturevalue("open_redis_store")
    return lambda told: opener(client_name=connection_name(told.node, told.boot))


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """An empty store of either kind."""
    return open_store()
