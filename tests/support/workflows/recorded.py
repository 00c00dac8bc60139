"""The store as a reader opens it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chordwatch.store.redis_store import RedisStore


@contextmanager
def open_store(url: str) -> Iterator[RedisStore]:
    """Open the store at a Redis URL, and close it."""
    store = RedisStore(url, client_name="chordwatch:test:reader")
    try:
        yield store
    finally:
        store.close()
