"""Messages as Celery itself writes them: published to kombu's in-memory transport, without a socket."""

from __future__ import annotations

import base64
import json
from typing import Any

from celery import Celery

app = Celery("project", broker="memory://", backend="cache+memory://", set_as_current=False)


@app.task(name="project.add", shared=False)
def add(x: int, y: int) -> int:
    return x + y


@app.task(name="project.collect", shared=False)
def collect(parts: Any) -> Any:
    return parts


@app.task(name="project.report", shared=False)
def report(parts: Any) -> Any:
    return parts


@app.task(name="project.alarm", shared=False)
def alarm(*_: Any) -> None:
    return


def publish(canvas: Any, queue: str = "celery") -> tuple[Any, list[dict[str, Any]]]:
    """Send a canvas; return its result and the messages in `queue`, oldest first."""
    result = canvas.apply_async()
    with app.connection_for_write() as connection:
        stored = connection.default_channel._queue_for(queue)
        messages = []
        while not stored.empty():
            messages.append(stored.get())
    return result, messages


def body_of(message: dict[str, Any]) -> list[Any]:
    """Return arguments, keyword arguments and what is embedded."""
    decoded: list[Any] = json.loads(base64.b64decode(message["body"]))
    return decoded


def with_body(message: dict[str, Any], body: bytes, **headers: Any) -> dict[str, Any]:
    """Return the message with another body."""
    return {
        **message,
        "body": base64.b64encode(body).decode(),
        "headers": {**message["headers"], **headers},
    }
