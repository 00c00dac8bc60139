"""Servers that live as long as the session, and the scene: one worker with chords of every kind on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.xray.scene import Scene, publish
from tests.integration.xray.stranger import Stranger
from tests.support.servers import Processes, RedisServer, kill


@pytest.fixture(scope="session")
def lasting_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Processes of the session; they run tasks without end, so they are killed."""
    processes = Processes(tmp_path_factory.mktemp("lasting"))
    yield processes
    for process in reversed(processes._started):
        if process.poll() is None:
            kill(process)


@pytest.fixture(scope="session")
def lasting_redis(lasting_processes: Processes) -> Iterator[RedisServer]:
    """A Redis that no test empties."""
    server = RedisServer(lasting_processes)
    yield server
    server.close()


@pytest.fixture(scope="session")
def scene(lasting_redis: RedisServer, lasting_processes: Processes) -> Iterator[Scene]:
    """Chords of every kind, published together, as far as their workers bring them."""
    stranger = Stranger(lasting_redis, lasting_processes)
    stranger.worker("main", concurrency=12)
    stranger.worker("busy", "--prefetch-multiplier", "1", queues="busy", concurrency=1)
    stranger.ready("main", "busy")
    scene = Scene(stranger)
    publish(scene)
    yield scene
    stranger.close()


@pytest.fixture
def stranger(redis: RedisServer, processes: Processes) -> Iterator[Stranger]:
    """A project of one test's own, with one worker on the default queue."""
    stranger = Stranger(redis, processes)
    stranger.worker("main", concurrency=2)
    stranger.ready("main")
    # Canvas without a task of the app (`chord([...])`) asks the current app, else Celery's default one.
    stranger.tasks.app.set_current()
    yield stranger
    stranger.close()
