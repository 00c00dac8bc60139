"""What must hold of every key of the store, whatever a test did with it."""

from __future__ import annotations

from redis import Redis


def keys_without_end(redis: Redis) -> list[bytes]:
    """Return the store's keys, of any version and namespace, that Redis would keep for ever."""
    return [key for key in redis.scan_iter(match="chordwatch:*", count=1000) if redis.ttl(key) == -1]


def assert_every_key_ends(redis: Redis) -> None:
    """Fail when a key of the store has no time to live."""
    assert keys_without_end(redis) == []
