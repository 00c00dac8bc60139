from __future__ import annotations

import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tasks.demo import run as demo_run
from tasks.demo.data_folder import DataFolder
from tasks.demo.errors import DemoError
from tasks.demo.ports import LOOPBACK
from tasks.demo.run import ROOT, Interrupt, Options, environment


def test_another_projects_celery_settings_do_not_reach_the_demo() -> None:
    theirs = {
        "BROKER_URL": "redis://production",
        "RESULT_BACKEND": "redis://production",
        "CELERY_BROKER_URL": "redis://production",
        "CHORDWATCH_NAMESPACE": "production",
        "FLOWER_PORT": "1",
        "STREAMLIT_SERVER_PORT": "2",
    }

    kept = environment({"PATH": "/bin", **theirs})

    assert kept == {"PATH": "/bin", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


class FakeDemo:
    """Stands for a demo whose service found its port taken, and ends well the next time."""

    def __init__(self, *, stolen: bool) -> None:
        self.ports: list[Mapping[str, int]] = []
        self._stolen = stolen
        self._thief = socket.socket()

    def once(
        self, _options: Options, _folder: DataFolder, ports: Mapping[str, int], _interrupt: Interrupt
    ) -> int:
        """Fail the first time."""
        self.ports.append(ports)
        if len(self.ports) > 1:
            return 0
        if self._stolen:
            self._thief.bind((LOOPBACK, ports["flower"]))
            self._thief.listen()
        raise DemoError("flower ended by itself")

    def close(self) -> None:
        """Give the stolen port back."""
        self._thief.close()


@pytest.fixture(autouse=True)
def own_signal_handlers() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def run_with(demo: FakeDemo, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(demo_run, "_once", demo.once)
    with closing(demo):
        return demo_run.run(Options(seconds=None, summary=None, data=folder))


def test_a_port_that_is_taken_before_its_service_listens_is_replaced_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = FakeDemo(stolen=True)

    assert run_with(demo, tmp_path, monkeypatch) == 0
    assert demo.ports[0]["flower"] != demo.ports[1]["flower"]
    assert "Somebody else took the port of flower meanwhile; starting again." in capsys.readouterr().out


def test_a_summary_that_could_not_be_written_is_refused_before_anything_starts(tmp_path: Path) -> None:
    options = Options(seconds=None, summary=tmp_path / "none" / "demo.json", data=tmp_path / "data")

    with pytest.raises(DemoError, match=r"There is no folder for .*/none/demo\.json\."):
        demo_run.run(options)
    assert not options.data.exists()


def test_a_service_that_fails_by_itself_is_not_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = FakeDemo(stolen=False)

    with pytest.raises(DemoError, match="flower ended by itself"):
        run_with(demo, tmp_path, monkeypatch)
    assert len(demo.ports) == 1
