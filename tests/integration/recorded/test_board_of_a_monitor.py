"""A dashboard's source beside real monitors: it reads their board, and looks itself where none runs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from celery import Celery

from chordwatch.board.rows import Board
from chordwatch.board.source import Source
from tests.integration.recorded.conftest import HERE, Installation
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, celery, kill

pytestmark = pytest.mark.faults

TOTAL = "project.total"


@pytest.fixture
def installation(redis: RedisServer, store: RedisServer, processes: Processes) -> Installation:
    """An instrumented installation whose store is not its broker."""
    return Installation(redis, processes, CHORDWATCH_STORE_URL=store.url(0))


@pytest.fixture
def source(redis: RedisServer, store: RedisServer) -> Iterator[Source]:
    """A source as a dashboard opens it."""
    app = Celery("dashboard", broker=redis.url(0), backend=redis.url(1), set_as_current=False)
    app.conf.chordwatch_store_url = store.url(0)
    source = Source(app)
    yield source
    source.close()
    app.close()


def monitor(installation: Installation, name: str) -> subprocess.Popen[bytes]:
    command = celery("-A", "project", "chords", "monitor", "--port", "0", "--interval", "0.5")
    return installation.processes.start(name, *command, cwd=HERE, env=installation.environment)


def shown(source: Source) -> Board:
    board = source.board()
    assert isinstance(board, Board), board
    return board


def test_the_board_of_two_monitors_is_read_until_both_are_gone(
    installation: Installation, source: Source
) -> None:
    monitors = [monitor(installation, name) for name in ("first", "second")]
    wait_until(lambda: shown(source).looker == "monitor", "a monitor's board", 30)
    worker = installation.worker(concurrency=2)
    chord_id, _, header = installation.publish(2, 5.0, retried=1)

    def with_queue() -> Board | None:
        board = shown(source)
        # A look between publishing and recording sees it without its callback's name.
        recorded = board.chords and board.chords[0].callback
        return board if recorded and board.queues and board.workers else None

    board = wait_until(with_queue, "the chord is seen and recorded")
    assert board.counts["ok"] + board.counts["waiting"] == 1
    assert [(row.chord_id, row.callback, row.size) for row in board.chords] == [(chord_id, TOTAL, 3)]
    assert board.instrumented
    assert [(row.hostname, row.up) for row in board.workers] == [("w1@here", True)]
    assert [queue.name for queue in board.queues] == ["celery"]
    page = source.chord(header[0])
    assert page is not None
    assert page.chord.chord_id == chord_id

    wait_until(lambda: shown(source).finished == {"succeeded": 1}, "the chord has finished", 30)
    assert 1 <= len(source.history(3600)) <= 3
    kill(worker)
    wait_until(lambda: [row.up for row in shown(source).workers] == [False], "the worker has vanished", 30)
    kill(monitors[0])
    assert shown(source).looker == "monitor"
    kill(monitors[1])
    wait_until(lambda: shown(source).looker == "dashboard", "the dashboard looks itself", 40)
    own = shown(source)
    assert own.finished == {"succeeded": 1}
    assert [row.up for row in own.workers] == [False]


def test_without_its_store_the_dashboard_sees_what_can_be_seen_from_outside(
    installation: Installation, source: Source, store: RedisServer
) -> None:
    installation.publish(3, 0.01)
    monitor(installation, "monitor")
    wait_until(lambda: shown(source).looker == "monitor", "a monitor's board", 30)
    kill(store.process)
    wait_until(lambda: shown(source).looker == "dashboard", "the dashboard looks itself", 30)

    board = shown(source)
    assert [(row.size, row.counted) for row in board.chords] == [(3, 0)]
    assert board.finished is None
    assert any("Nothing that was recorded is shown" in note for note in board.notes)
    assert store.url(0) in " ".join(board.notes)
