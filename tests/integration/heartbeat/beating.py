"""A Celery project whose worker beats into a list of a Redis, and is otherwise not recorded."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from typing import Any

from celery import Celery, signals
from redis import Redis

from chordwatch.recording.heartbeat import Heartbeats
from chordwatch.recording.records import Heartbeat

BOOT = f"boot-{os.getpid()}"

app = Celery(
    "beating", include=["parts"], broker=os.environ["PROJECT_BROKER"], backend=os.environ["PROJECT_BROKER"]
)
app.conf.broker_connection_retry_on_startup = True


class RedisLine:
    """Heartbeats as JSON with the time of their sending."""

    def __init__(self) -> None:
        self._client = Redis.from_url(
            os.environ["PROJECT_STORE"],
            client_name="heart",
            socket_timeout=2,
            socket_connect_timeout=2,
        )

    def beat(self, heartbeat: Heartbeat, *, goodbye: bool = False) -> None:
        """Append it to the list `beats`."""
        said = {**asdict(heartbeat), "goodbye": goodbye, "at": time.time()}
        self._client.rpush("beats", json.dumps(said))

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()


heartbeats = Heartbeats(RedisLine, boot=lambda: BOOT, interval=0.2)


@signals.worker_ready.connect
def on_ready(sender: Any, **_: Any) -> None:
    heartbeats.start(sender)


@signals.worker_shutdown.connect
def on_shutdown(**_: Any) -> None:
    heartbeats.stop()
