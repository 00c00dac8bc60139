"""The workflow API's own records in Redis: which workflow consists of which tasks.

`workflow:<id>` is a JSON document, `workflows` the index by time. All of it goes with Celery's results.
"""

from __future__ import annotations

import functools
import json
import time
from typing import Any

from redis import Redis

from tasks import config

INDEX = "workflows"


@functools.cache
def client() -> Redis:
    """Return this process's connection pool. Nothing is connected before the first command."""
    return Redis.from_url(
        config.RECORDS_URL, socket_connect_timeout=3, socket_timeout=5, decode_responses=True
    )


def save(record: dict[str, Any]) -> None:
    """Store a new record and forget the index's entries of those that have gone."""
    now = time.time()
    with client().pipeline() as pipe:
        pipe.set(_key(record["id"]), json.dumps(record), ex=config.result_expires)
        pipe.zadd(INDEX, {record["id"]: now})
        pipe.zremrangebyscore(INDEX, "-inf", now - config.result_expires)
        pipe.expire(INDEX, config.result_expires)
        pipe.execute()


def find(workflow_id: str) -> dict[str, Any] | None:
    """Return a record."""
    text: Any = client().get(_key(workflow_id))
    return None if text is None else json.loads(text)


def newest(limit: int) -> list[dict[str, Any]]:
    """Return the newest records, the newest first."""
    ids: Any = client().zrevrange(INDEX, 0, limit - 1)
    if not ids:
        return []
    texts: Any = client().mget([_key(workflow_id) for workflow_id in ids])
    return [json.loads(text) for text in texts if text is not None]


def _key(workflow_id: str) -> str:
    return f"workflow:{workflow_id}"
