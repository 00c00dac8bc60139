"""`chords dashboard`: the Streamlit dashboard, on the app of the command line.

Checks what it can say better than Streamlit, then becomes `streamlit run`, so that signals reach the server itself.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from ipaddress import ip_address

import click

from chordwatch.cli import session
from chordwatch.package_data import data_folder
from chordwatch.settings import read_settings

#: As `dashboards/chord_source.py` reads it.
_APP = "CHORDWATCH_APP"
_ALL_ADDRESSES = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  # to be told from others


@click.command("dashboard")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8501, show_default=True, help="0 takes a free one."
)
@click.pass_context
def command(ctx: click.Context, *, host: str, port: int) -> None:
    """Serve the dashboard: stuck chords and why, one chord as a graph and over time, queues, trends, the doctor."""
    if importlib.util.find_spec("streamlit") is None:
        raise click.UsageError(
            "The dashboard needs streamlit, which is not installed: pip install 'chordwatch[dashboard]'."
        )
    environment = _environment(ctx.find_root().params)
    settings = read_settings(session.app_of(ctx).conf)
    free = _free_port(host, port)
    if not settings.dashboard_password and not _is_local(host):
        click.echo(
            f"Whoever reaches {host}:{free} sees the chords: chordwatch_dashboard_password is not set.",
            err=True,
        )
    # Celery has put -b, --result-backend, --loader and --config into the environment itself, and went to --workdir.
    os.execve(sys.executable, _streamlit(host, free), environment)  # noqa: S606  # our own arguments, no shell


def _streamlit(host: str, port: int) -> list[str]:
    app = str(data_folder("dashboards") / "app.py")
    server = ["--server.address", host, "--server.port", str(port), "--server.headless", "true"]
    # What it prints; of an address that stands for all, it says what its own configuration says.
    shown = [] if host in _ALL_ADDRESSES else ["--browser.serverAddress", host]
    return [sys.executable, "-m", "streamlit", "run", app, *server, *shown]


def _environment(given: Mapping[str, object]) -> dict[str, str]:
    """Return the environment that tells the dashboard its app; `given` are the options of `celery` itself.

    Raises:
        UsageError: nothing names one.
    """
    environment = dict(os.environ)
    app, broker = given.get("app"), given.get("broker")
    if isinstance(app, str):
        environment[_APP] = app
    elif broker:
        environment.pop(_APP, None)
    elif not any(environment.get(name) for name in (_APP, "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND")):
        raise click.UsageError(
            "The dashboard runs in a process of its own and needs the app by name: celery -A proj chords dashboard, "
            "or celery -b BROKER --result-backend BACKEND chords dashboard."
        )
    return environment


def _free_port(host: str, port: int) -> int:
    """Return a port to listen on, so that a taken one is a sentence and 0 a known one."""
    with session.listening(host, port) as listener:
        return int(listener.getsockname()[1])


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
