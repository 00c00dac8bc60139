from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

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
    assert guard.surviving("+1\n+2\n-1\n+3\n?\n+x\n\n") == [2, 3]


def test_what_does_not_stop_when_asked_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guard, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(guard, "LATE_SECONDS", 0.1)
    register = tmp_path / "processes"
    with start(STUBBORN) as stubborn:
        register.write_text(f"+{stubborn.pid}\n", encoding="utf-8")

        guard.end(register)

        assert stubborn.wait(5) == -signal.SIGKILL


def test_when_the_demo_is_gone_the_guard_ends_what_it_left(tmp_path: Path) -> None:
    register = tmp_path / "processes"
    with (
        start(WILLING) as left,
        start(WILLING) as late,
        start(WILLING) as stopped_before,
        subprocess.Popen([sys.executable, guard.__file__, str(register)], stdin=subprocess.PIPE) as guarding,
    ):
        listed = f"+{left.pid}\n+{stopped_before.pid}\n-{stopped_before.pid}\n"
        register.write_text(listed, encoding="utf-8")
        assert guarding.stdin is not None
        guarding.stdin.close()

        assert left.wait(5) == -signal.SIGTERM
        register.write_text(f"{listed}+{late.pid}\n", encoding="utf-8")
        assert late.wait(5) == -signal.SIGTERM
        assert guarding.wait(5) == 0
        assert stopped_before.poll() is None
        stopped_before.kill()
