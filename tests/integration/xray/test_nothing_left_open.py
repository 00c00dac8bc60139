"""A Watch that was closed leaves no socket open in the process that used it."""

from __future__ import annotations

import sys

from tests.support.servers import RedisServer, run

#: A process of its own: what other tests leave to the collector does not count here.
LOOK = """
import gc, sys
from chordwatch import connect
from celery import Celery
app = Celery("reader", broker=sys.argv[1], backend=sys.argv[2], set_as_current=False)
watch = connect(app)
watch.list()
assert watch.get("nothing") is None
watch.close()
app.backend.client.connection_pool.disconnect()
app.close()
if len(sys.argv) > 3:
    import socket
    socket.create_connection(("127.0.0.1", int(sys.argv[3])))
del watch, app
gc.collect()
"""


def look(redis: RedisServer, *more: str) -> str:
    python = (sys.executable, "-W", "always::ResourceWarning", "-c", LOOK)
    done = run(*python, redis.url(0), redis.url(1), *more)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_closed_watch_leaves_no_socket_open(redis: RedisServer) -> None:
    assert "ResourceWarning" not in look(redis)


def test_a_socket_that_is_left_open_would_be_noticed(redis: RedisServer) -> None:
    assert "unclosed <socket" in look(redis, str(redis.port))
