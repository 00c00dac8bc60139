"""A forked child holds no connection of its parent's, else a worker that was killed would look connected."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from chordwatch.recording.heartbeat import Heartbeats
from chordwatch.recording.recorder import Recorder
from chordwatch.store.redis_store import RedisStore
from tests.support.polling import wait_until
from tests.support.servers import RedisServer


def connected_to(port: int) -> set[int]:
    """Return the descriptors of this process's sockets that are connected to a port."""
    return {descriptor for descriptor in range(3, 1024) if _peer(descriptor) == port}


def _peer(descriptor: int) -> int | None:
    """Return the port that a descriptor is connected to, without closing it."""
    try:
        borrowed = socket.socket(fileno=descriptor)
    except OSError:
        return None
    try:
        return int(borrowed.getpeername()[1])
    except (OSError, IndexError, ValueError):
        return None
    finally:
        borrowed.detach()


def in_a_child(check: Callable[[], bool]) -> bool:
    """Return what `check` says in a forked child, which collects no garbage."""
    gc.disable()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if check() else 1)
    gc.enable()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def heartbeat(url: str) -> Callable[[], Any]:
    worker = SimpleNamespace(
        hostname="w1@here",
        task_consumer=None,
        pool=SimpleNamespace(num_processes=1),
        controller=SimpleNamespace(concurrency=1),
    )
    heartbeats = Heartbeats(lambda: RedisStore(url, client_name="fork"), boot=lambda: "b1", interval=0.2)
    heartbeats.start(worker)
    return heartbeats.stop


def recorder(url: str) -> Callable[[], Any]:
    recorder = Recorder(
        lambda _boot: RedisStore(url, client_name="fork"),
        node="w1@here",
        flush_interval=0.05,
        buffer_size=1000,
        keep_callbacks=True,
    )
    recorder.add(("group", {"n": 2}))
    return recorder.close


@pytest.fixture(params=[heartbeat, recorder])
def connected(request: pytest.FixtureRequest, redis: RedisServer) -> Iterator[tuple[RedisServer, set[int]]]:
    """A Redis that this process is connected to, as a recorded one is, and the socket that does it."""
    redis.close()  # the tests' own connections
    gc.collect()  # those that earlier tests forgot
    before = connected_to(redis.port)
    stop = request.param(redis.url(2))
    opened: set[int] = set()
    wait_until(lambda: opened.update(connected_to(redis.port) - before) or opened, "it has connected")
    yield redis, opened
    stop()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_has_no_socket_of_its_parent(connected: tuple[RedisServer, set[int]]) -> None:
    redis, opened = connected
    for _ in range(5):
        assert in_a_child(lambda: not opened & connected_to(redis.port))

    assert len(opened) == 1
    assert opened <= connected_to(redis.port)
