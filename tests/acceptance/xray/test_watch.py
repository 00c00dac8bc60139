"""`chords watch` in a terminal, which here is a pseudo terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from celery import chord

from tests.integration.xray.stranger import Stranger, chords, group_id
from tests.support.pace import within
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, celery, clean_environment

#: The first terminal that a session's leader opens is its controlling one, to which Ctrl-C belongs.
_OPEN_AND_BECOME = """
import os, signal, sys
from tests.support.pace import within
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits that it is ignored
os.close(os.open(os.ttyname(0), os.O_RDWR))
os.execv(sys.argv[1], sys.argv[1:])
"""
_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")


@dataclass
class Terminal:
    """A command in a pseudo terminal of 120 × 30."""

    process: subprocess.Popen[bytes]
    master: int
    seen: bytes = b""

    def text(self) -> str:
        """Return everything that was shown until now, without control sequences."""
        with contextlib.suppress(OSError):  # the other end is closed
            while select.select([self.master], [], [], 0)[0]:
                self.seen += os.read(self.master, 65536)
        return _ESCAPES.sub(b"", self.seen).decode(errors="replace")

    def press_ctrl_c(self) -> int:
        """Type Ctrl-C and return the exit code."""
        os.write(self.master, b"\x03")
        wait_until(lambda: self.text() is not None and self.process.poll() is not None, "Ctrl-C ends it")
        return self.process.wait()


@pytest.fixture
def terminal(redis: RedisServer) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    command = celery("-b", redis.url(0), "--result-backend", redis.url(1), "chords", "watch")
    process = subprocess.Popen(
        (sys.executable, "-c", _OPEN_AND_BECOME, *command),
        env=clean_environment(TERM="xterm", COLUMNS="120", LINES="30"),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    yield Terminal(process, master)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    os.close(master)


def test_watch_shows_progress_as_it_happens_and_ends_with_ctrl_c(
    redis: RedisServer, processes: Processes, terminal: Terminal
) -> None:
    stranger = Stranger(redis, processes)
    t = stranger.tasks
    t.app.set_current()
    header = [t.add.s(1, 1), t.add.s(2, 2), t.add.s(3, 3).set(queue="nobody")]
    result = chord(header, t.collect.s()).apply_async()
    wait_until(lambda: "0 of 3" in terminal.text(), "the open chord is shown")
    stranger.worker("late")
    wait_until(lambda: "2 of 3" in terminal.text(), "its progress is shown")

    assert group_id(result) in terminal.text()
    assert "project.collect" in terminal.text()
    assert terminal.press_ctrl_c() == 0
    assert "Traceback" not in terminal.text()
    assert "Aborted" not in terminal.text()
    stranger.close()


def test_watch_ends_with_ctrl_c_while_it_still_starts(terminal: Terminal) -> None:
    wait_until(lambda: terminal.text() or terminal.seen, "something is shown")

    assert terminal.press_ctrl_c() == 0
    assert "Traceback" not in terminal.text()


def test_watch_without_a_terminal_is_exit_2(redis: RedisServer) -> None:
    started = time.monotonic()
    done = chords(redis.url(0), redis.url(1), "watch")

    assert (done.returncode, done.stdout) == (2, "")
    assert "needs a terminal" in done.stderr
    assert within(time.monotonic() - started, 20)
