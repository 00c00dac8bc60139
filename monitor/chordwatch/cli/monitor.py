"""`chords monitor`: the daemon."""

from __future__ import annotations

import logging
import signal
import socket
import sys

import click

from chordwatch.cli import session
from chordwatch.settings import read_settings
from chordwatch.watch.running import stale_after


@click.command("monitor")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9809, show_default=True, help="0 takes a free one."
)
@click.option(
    "--interval", type=float, help="Seconds between two looks.  [default: chordwatch_monitor_interval]"
)
@click.pass_context
def command(ctx: click.Context, host: str, port: int, interval: float | None) -> None:
    """Look at the chords again and again; serve /metrics, /api, /healthz, /readyz and /docs."""
    try:
        import uvicorn  # noqa: PLC0415  # only in the extra `monitor`

        from chordwatch.service.api import make_api  # noqa: PLC0415  # as above
        from chordwatch.service.loop import Loop  # noqa: PLC0415  # as above
    except ModuleNotFoundError as exc:
        raise click.UsageError(
            f"The monitor needs {exc.name}, which is not installed: pip install 'chordwatch[monitor]'."
        ) from exc
    app = session.app_of(ctx)
    settings = read_settings(app.conf, monitor_interval=interval)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    listener = _listen(host, port)
    address = f"http://{host}:{listener.getsockname()[1]}"
    click.echo(f"chordwatch monitor on {address} (metrics at /metrics, API at /docs)", err=True)
    stale = stale_after(settings.heartbeat_interval)
    api = make_api(Loop(app, settings), settings.monitor_interval, stale_after=stale)
    for ending in (signal.SIGTERM, signal.SIGINT):
        # uvicorn shuts down on these, then raises them once more for whom they were meant.
        signal.signal(ending, lambda *_: sys.exit(0))
    server = uvicorn.Server(uvicorn.Config(api, log_level="warning", access_log=False))
    server.run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, so that a taken port is a sentence and port 0 a known one."""
    try:
        return socket.create_server((host, port), reuse_port=False)
    except OSError as exc:
        raise click.UsageError(
            f"Cannot listen on {host}:{port} ({exc.strerror}); choose another --host or --port."
        ) from exc
