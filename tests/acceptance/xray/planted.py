"""Chords planted directly into Redis, laid out as Celery does, in any number and with any name."""

from __future__ import annotations

import base64
import json
from typing import Any

from redis import Redis

from tests.integration.xray.stranger import GROUP

CALLBACK = "project.collect"
_BATCH = 5000


def message(task_id: str, chord_id: str, index: Any, **headers: Any) -> str:
    """Return a header task's message as kombu stores it in a Redis list."""
    body = {
        "task": headers.pop("callback", CALLBACK),
        "args": [],
        "kwargs": {},
        "options": {"task_id": f"{chord_id}-callback", "group_id": chord_id},
        "subtask_type": None,
        "immutable": False,
    }
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": body}
    encoded = base64.b64encode(json.dumps([[1, 1], {}, embed]).encode()).decode()
    own = {"lang": "py", "task": "project.add", "id": task_id, "group": chord_id, "group_index": index}
    return json.dumps(
        {
            "body": encoded,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {**own, "retries": 0, "eta": None, "root_id": task_id, "parent_id": None, **headers},
            "properties": {"correlation_id": task_id, "body_encoding": "base64", "priority": 0},
        }
    )


def part(task_id: str, result: Any = 2) -> str:
    """Return a counted part as Celery stores it."""
    return json.dumps([1, task_id, "SUCCESS", result])


def plant_header(broker: Redis, backend: Redis, chord_id: str, size: int, counted: int) -> None:
    """Plant a chord of which the first parts are counted and all others wait in the default queue."""
    key = f"{GROUP}{chord_id}"
    backend.set(f"{key}.s", size, ex=86400)
    pipe = backend.pipeline(transaction=False)
    for start in range(0, counted, _BATCH):
        indexes = range(start, min(start + _BATCH, counted))
        pipe.zadd(f"{key}.j", {part(f"task-{index:06}"): index for index in indexes})
        pipe.sadd(f"{key}.d", *(f"task-{index:06}:{index}" for index in indexes))
    pipe.expire(f"{key}.j", 86400).expire(f"{key}.d", 86400).execute()
    template = message("TASK", chord_id, 123456789)
    pipe = broker.pipeline(transaction=False)
    for start in range(counted, size, _BATCH):
        indexes = range(start, min(start + _BATCH, size))
        pipe.lpush(
            "celery",
            *(template.replace("TASK", f"task-{i:06}").replace("123456789", str(i)) for i in indexes),
        )
    pipe.execute()
