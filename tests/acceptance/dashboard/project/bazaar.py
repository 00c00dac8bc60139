"""A project whose tasks, errors, queues and task ids are named by SHOP_NAMES (JSON), and whose chords all hang."""

from __future__ import annotations

import json
import os
from typing import Any

from celery import Celery

import chordwatch

app = Celery("bazaar", broker=os.environ["SHOP_BROKER"], backend=os.environ["SHOP_BACKEND"])
app.conf.broker_connection_retry_on_startup = True
chordwatch.instrument(app)

NAMES: list[str] = json.loads(os.environ["SHOP_NAMES"])
TWO_HOURS = 7200.0


def _retries(self: Any, name: str) -> None:
    raise self.retry(exc=ValueError(name), countdown=TWO_HOURS)


def _fails(name: str) -> None:
    raise ValueError(name)


def _takes(parts: list[Any]) -> int:
    return len(parts)


for name in NAMES:
    app.task(_retries, name=name, bind=True)
    app.task(_takes, name=f"{name} takes")
app.task(_fails, name="fails")
