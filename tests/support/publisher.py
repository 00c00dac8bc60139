"""An app of the test's own process that publishes what others run, and that nobody instrumented."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery

from tests.support.servers import RedisServer


@contextmanager
def publisher(redis: RedisServer) -> Iterator[Celery]:
    """Give an app whose broker and result backend are this Redis, and close it without a trace."""
    app = Celery("publisher", broker=redis.url(0), backend=redis.url(1), set_as_current=False)
    try:
        yield app
    finally:
        consumer = app.backend.result_consumer
        consumer.stop()
        # A result that is collected later would connect anew to unsubscribe, to a Redis that is gone.
        consumer.subscribed_to.clear()
        app.backend.client.connection_pool.disconnect()
        app.close()
