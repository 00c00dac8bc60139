from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tasks.demo import guard, supervise
from tasks.demo.supervise import Supervisor
from tests.support.polling import wait_until

WAITS = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITS
#: A leader that goes when it is told to, with a child that does not.
WITH_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); " + WAITS


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with closing(Supervisor(cwd=tmp_path, logs=tmp_path, register=tmp_path / "processes")) as started:
        yield started


def start(supervisor: Supervisor, name: str, code: str, lines: int = 1) -> supervise.Child:
    child = supervisor.start(name, [sys.executable, "-c", code], os.environ)
    wait_until(lambda: child.log.read_text(encoding="utf-8").count("up") == lines, f"{name} is up")
    return child


def alive(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_service_writes_to_its_own_log(supervisor: Supervisor, tmp_path: Path) -> None:
    start(supervisor, "one", WAITS)
    start(supervisor, "two", "import sys; sys.stderr.write('to stderr\\n'); " + WAITS)

    assert (tmp_path / "one.log").read_text(encoding="utf-8") == "up\n"
    assert "to stderr\n" in (tmp_path / "two.log").read_text(encoding="utf-8")


def test_a_service_leads_a_group_of_its_own(supervisor: Supervisor) -> None:
    child = start(supervisor, "one", WAITS)

    assert child.pid is not None
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)


def test_a_service_that_ends_by_itself_is_named(supervisor: Supervisor) -> None:
    start(supervisor, "one", WAITS)
    lost = supervisor.start("two", [sys.executable, "-c", "raise SystemExit(7)"], os.environ)
    wait_until(lambda: lost.ended, "two has ended")

    assert supervisor.lost() == [lost]
    assert lost.returncode == 7


def test_a_program_that_does_not_exist_is_a_lost_service(supervisor: Supervisor) -> None:
    lost = supervisor.start("one", ["/no/such/program"], os.environ)
    wait_until(lambda: lost.ended, "one has ended")

    assert lost.returncode == 127
    assert "/no/such/program" in lost.log.read_text(encoding="utf-8")


def test_a_service_is_asked_to_stop_first(supervisor: Supervisor) -> None:
    child = start(supervisor, "one", WAITS)

    supervisor.stop("one")

    assert child.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("code", "lines"), [(STUBBORN, 1), (WITH_CHILD, 2)], ids=["stubborn", "with a child"]
)
def test_what_does_not_stop_is_killed_with_its_group(
    code: str, lines: int, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "GRACE_SECONDS", 0.2)
    child = start(supervisor, "one", code, lines)
    assert child.pid is not None

    supervisor.stop("one")

    assert child.ended
    wait_until(lambda: not alive(child.pid or 0), "the group is gone")


def test_the_guard_can_know_of_a_service_as_long_as_it_runs(supervisor: Supervisor, tmp_path: Path) -> None:
    child = start(supervisor, "one", WAITS)
    register = tmp_path / "processes"
    assert guard.surviving(register.read_text(encoding="utf-8")) == [child.pid]

    supervisor.stop("one")

    assert guard.surviving(register.read_text(encoding="utf-8")) == []


def test_closing_stops_everything(tmp_path: Path) -> None:
    with closing(Supervisor(cwd=tmp_path, logs=tmp_path, register=tmp_path / "processes")) as supervisor:
        children = [start(supervisor, name, WAITS) for name in ("redis", "worker", "beat")]

    assert [child.returncode for child in children] == [-signal.SIGTERM] * 3
    assert supervisor.children == {}
