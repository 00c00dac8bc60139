from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tasks.demo import guard

WILLING = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WILLING


def start(code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_what_was_added_and_not_removed_survives_in_order() -> None:
    assert guard.surviving(["+1\n", "+2\n", "-1\n", "+3\n", "?\n", "+x\n", "\n"]) == [2, 3]


def test_what_does_not_stop_when_asked_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "GRACE_SECONDS", 0.2)
    with start(STUBBORN) as stubborn:
        guard.end([stubborn.pid])

        assert stubborn.wait(5) == -signal.SIGKILL


def test_when_the_demo_is_gone_the_guard_ends_what_it_left() -> None:
    with (
        start(WILLING) as left,
        start(WILLING) as stopped_before,
        subprocess.Popen([sys.executable, guard.__file__], stdin=subprocess.PIPE, text=True) as guarding,
    ):
        assert guarding.stdin is not None
        guarding.stdin.write(f"+{left.pid}\n+{stopped_before.pid}\n-{stopped_before.pid}\n")
        guarding.stdin.close()

        assert left.wait(5) == -signal.SIGTERM
        assert guarding.wait(5) == 0
        assert stopped_before.poll() is None
        stopped_before.kill()
