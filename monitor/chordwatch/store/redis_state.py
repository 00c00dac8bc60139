"""How the store's Redis is: what the records take, and whether it evicts keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import redis

from chordwatch.store.keys import Keys
from chordwatch.store.protocol import StoreState


def read_state(client: redis.Redis, keys: Keys, *, unreadable: Mapping[str, int]) -> StoreState:
    """Return how the store of these keys is. Asks INFO, because managed services refuse CONFIG.

    Raises what redis-py raises.
    """
    memory = client.info("memory")
    evicted = client.info("stats").get("evicted_keys", 0)
    used, judged, chords = cast("list[bytes | None]", client.hmget(keys.meta, ["bytes", "judged", "chords"]))
    evicts = memory.get("maxmemory_policy", "noeviction") != "noeviction" and bool(memory.get("maxmemory"))
    return StoreState(
        bytes_used=_number(used) + _number(judged),
        chords=_number(chords),
        evicts=bool(evicts or evicted),
        unreadable={kind: many for kind, many in unreadable.items() if many},
    )


def _number(raw: bytes | None) -> int:
    return int(raw) if raw and raw.isdigit() else 0
