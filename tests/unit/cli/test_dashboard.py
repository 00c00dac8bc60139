from __future__ import annotations

import socket
import sys
from types import SimpleNamespace
from typing import NoReturn

import pytest
from celery.bin.celery import celery as celery_command
from click.testing import CliRunner, Result

from chordwatch.cli import USAGE, dashboard
from chordwatch.package_data import data_folder


class ReplacedError(Exception):
    """This process would now be another program."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return what the process would become: its arguments and its environment."""
    seen = SimpleNamespace(argv=None, env={})

    def execve(_program: str, argv: list[str], env: dict[str, str]) -> NoReturn:
        seen.argv, seen.env = argv, env
        raise ReplacedError

    monkeypatch.setattr(dashboard.os, "execve", execve)
    # Celery's own command writes what it is given into the environment: the fixture takes it out again.
    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        monkeypatch.setenv(name, "")
    return seen


def call(*arguments: str) -> Result:
    return CliRunner().invoke(celery_command, arguments, prog_name="celery")


def test_streamlit_is_started_on_the_app_that_celery_was_given(started: SimpleNamespace) -> None:
    done = call("-A", "tasks", "chords", "dashboard", "--port", "0")

    assert isinstance(done.exception, ReplacedError), done.output
    command = [sys.executable, "-m", "streamlit", "run", str(data_folder("dashboards") / "app.py")]
    assert started.argv[:5] == command
    options = dict(zip(started.argv[5::2], started.argv[6::2], strict=True))
    assert options["--server.address"] == "127.0.0.1"
    assert int(options["--server.port"]) > 0
    assert started.env["CHORDWATCH_APP"] == "tasks"
    assert done.stderr == ""


def test_addresses_stand_for_an_app(started: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORDWATCH_APP", "another")

    done = call("-b", "redis://b/0", "--result-backend", "redis://r/1", "chords", "dashboard", "--port", "0")

    assert isinstance(done.exception, ReplacedError), done.output
    assert "CHORDWATCH_APP" not in started.env
    assert started.env["CELERY_BROKER_URL"] == "redis://b/0"
    assert started.env["CELERY_RESULT_BACKEND"] == "redis://r/1"


def test_without_an_app_one_sentence_says_how_to_name_it(started: SimpleNamespace) -> None:
    done = call("chords", "dashboard", "--port", "0")

    assert (done.exit_code, started.argv) == (USAGE, None)
    assert "celery -A proj chords dashboard" in done.stderr


def test_without_streamlit_one_sentence_says_what_to_install(
    started: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard.importlib.util, "find_spec", lambda _name: None)

    done = call("-A", "tasks", "chords", "dashboard")

    assert (done.exit_code, started.argv) == (USAGE, None)
    assert "pip install 'chordwatch[dashboard]'" in done.stderr


def test_a_taken_port_is_a_sentence(started: SimpleNamespace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = call("-A", "tasks", "chords", "dashboard", "--port", str(port))

    assert (done.exit_code, started.argv) == (USAGE, None)
    assert f"Cannot listen on 127.0.0.1:{port} (" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_setting_that_cannot_be_used_is_said_before_anything_is_started(
    started: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHORDWATCH_FLOWER_URL", "nonsense")

    done = call("-A", "tasks", "chords", "dashboard", "--port", "0")

    assert (done.exit_code, started.argv) == (USAGE, None)
    assert done.stderr.startswith("CHORDWATCH_FLOWER_URL must be ")


@pytest.mark.parametrize(
    ("host", "password", "warned"),
    [
        ("0.0.0.0", "", True),
        ("0.0.0.0", "sesame", False),
        ("127.0.0.1", "", False),
        ("localhost", "", False),
    ],
)
def test_an_open_address_without_a_password_is_said(
    started: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, host: str, password: str, warned: bool
) -> None:
    monkeypatch.setenv("CHORDWATCH_DASHBOARD_PASSWORD", password)

    done = call("-A", "tasks", "chords", "dashboard", "--host", host, "--port", "0")

    assert isinstance(done.exception, ReplacedError), done.output
    assert ("chordwatch_dashboard_password is not set" in done.stderr) == warned
    assert "sesame" not in done.stderr
    assert "sesame" not in " ".join(started.argv)


@pytest.mark.parametrize(
    ("host", "said"), [("0.0.0.0", None), ("127.0.0.1", "127.0.0.1"), ("localhost", "localhost")]
)
def test_the_address_that_is_printed_is_one_that_can_be_opened(
    started: SimpleNamespace, host: str, said: str | None
) -> None:
    call("-A", "tasks", "chords", "dashboard", "--host", host, "--port", "0")

    options = dict(zip(started.argv[5::2], started.argv[6::2], strict=True))
    assert options.get("--browser.serverAddress") == said
