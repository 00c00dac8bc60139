"""Fixtures of every tier. One Redis for each test process, emptied before each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

import chordwatch
from tasks.celery import app as demo
from tests.support.otlp import Collector
from tests.support.servers import OWN_VARIABLES, Processes, RedisServer

if TYPE_CHECKING:
    from tests.support.browser import Browser


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the developer's variables away."""
    for name in list(os.environ):
        if name.startswith(OWN_VARIABLES):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def unrecorded() -> None:
    """The demo's project records the process that imports it; the tests' own publishes to Redis servers of others."""
    chordwatch.uninstrument(demo)


@pytest.fixture(scope="session")
def session_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Processes that live as long as the test session."""
    processes = Processes(tmp_path_factory.mktemp("session"))
    yield processes
    processes.stop()


@pytest.fixture(scope="session")
def session_redis(session_processes: Processes) -> Iterator[RedisServer]:
    """The session's Redis; tests take `redis`."""
    server = RedisServer(session_processes)
    yield server
    server.close()


@pytest.fixture
def redis(session_redis: RedisServer) -> RedisServer:
    """A real Redis, empty."""
    session_redis.broker.flushall()
    return session_redis


@pytest.fixture
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Processes of one test, all ended after it."""
    processes = Processes(tmp_path_factory.mktemp("processes"))
    yield processes
    processes.stop()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """An OTLP collector that holds the spans of one test."""
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A running Chromium, one for all tests: Playwright's loop runs but once in a process."""
    from tests.support.browser import running_browser  # noqa: PLC0415  # few tests need Playwright

    with running_browser() as browser:
        yield browser
