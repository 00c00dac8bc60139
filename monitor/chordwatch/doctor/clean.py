"""Removes what a probe left: its results, its chord's keys, its messages in an unread queue, a queue it made.

The only module of the doctor that writes, and only what carries the probe's own random ids. On brokers other than
Redis messages are left to expire.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing, suppress
from typing import Any

import redis
from celery import Celery
from celery.backends.redis import RedisBackend

from chordwatch.errors import UnreachableError
from chordwatch.evidence.broker import PRIORITIES, BrokerReader
from chordwatch.evidence.budget import Budget

_SUFFIXES = (".s", ".j", ".t", ".d", ".c", "")
#: Messages are put in at the left; the probe's are among the newest so many, unless the queue is busy.
_NEWEST = 1000
_SECONDS = 2.0


class Cleaner:
    """Cleans up after one probe of one queue."""

    def __init__(self, app: Celery, queue: str) -> None:
        self._app, self._queue = app, queue
        self._made = False

    def remember(self) -> None:
        """Note whether the queue exists before the probe declares it."""
        if BrokerReader.can_read(self._app):
            with closing(BrokerReader(self._app)) as broker:
                self._made = self._queue not in broker.queue_names((), Budget(_SECONDS))

    def clean(self, ids: Iterable[str], chord_id: str) -> None:
        """Remove everything; what does not let itself be removed expires."""
        known = list(ids)
        if BrokerReader.can_read(self._app):
            with (
                suppress(redis.RedisError, UnreachableError, OSError),
                self._app.connection_for_write() as connection,
            ):
                self._messages(connection.default_channel, [task_id.encode() for task_id in known])
                if self._made:
                    queue = self._app.amqp.queues[self._queue](connection.default_channel)
                    queue.declare()
                    queue.delete(if_empty=True)
        for task_id in known:
            with suppress(redis.RedisError, NotImplementedError, OSError):
                self._app.backend.forget(task_id)
        if isinstance(self._app.backend, RedisBackend):
            backend: Any = self._app.backend
            keys = [backend.get_key_for_group(chord_id, suffix) for suffix in _SUFFIXES]
            with suppress(redis.RedisError, OSError):
                backend.client.delete(*keys)

    def _messages(self, channel: Any, ids: list[bytes]) -> None:
        # As in BrokerReader: kombu's own client puts a prefix before the keys of some commands only.
        client: Any = redis.Redis(connection_pool=channel.pool)
        prefix = channel.global_keyprefix or ""
        for step in sorted({*PRIORITIES, *channel.priority_steps}):
            key = f"{prefix}{self._queue}{channel.sep}{step}" if step else f"{prefix}{self._queue}"
            for raw in client.lrange(key, 0, _NEWEST - 1):
                if any(task_id in raw for task_id in ids):
                    client.lrem(key, 1, raw)
