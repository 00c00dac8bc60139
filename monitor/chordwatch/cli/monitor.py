"""`chords monitor`: the daemon."""

from __future__ import annotations

import logging
import signal
import sys

import click

from chordwatch.cli import session
from chordwatch.service.logs import begin_log
from chordwatch.service.loop import make_loop
from chordwatch.settings import read_settings

logger = logging.getLogger(__name__)


@click.command("monitor")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9809, show_default=True, help="0 takes a free one."
)
@click.option(
    "--interval", type=float, help="Seconds between two looks.  [default: chordwatch_monitor_interval]"
)
@click.option(
    "--webhook",
    metavar="URL",
    envvar="CHORDWATCH_WEBHOOK",
    help="Where each change of a verdict is posted as JSON; CHORDWATCH_WEBHOOK hides it from the process list.",
)
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), help="[default: chordwatch_log_format, else text]"
)
@click.pass_context
def command(
    ctx: click.Context,
    *,
    host: str,
    port: int,
    interval: float | None,
    webhook: str | None,
    log_format: str | None,
) -> None:
    """Look at the chords again and again; log and post changes; serve /metrics, /api, /healthz, /readyz and /docs."""
    try:
        import uvicorn  # noqa: PLC0415  # only in the extra `monitor`

        from chordwatch.service.api import make_api  # noqa: PLC0415  # as above
    except ModuleNotFoundError as exc:
        raise click.UsageError(
            f"The monitor needs {exc.name}, which is not installed: pip install 'chordwatch[monitor]'."
        ) from exc
    app = session.app_of(ctx)
    settings = read_settings(app.conf, monitor_interval=interval, log_format=log_format)
    loop = make_loop(app, settings, webhook=webhook)
    listener = session.listening(host, port)
    begin_log(settings.log_format)
    address = f"http://{host}:{listener.getsockname()[1]}"
    logger.info("chordwatch monitor on %s (metrics at /metrics, API at /docs)", address)
    api = make_api(loop, settings)
    for ending in (signal.SIGTERM, signal.SIGINT):
        # uvicorn shuts down on these, then raises them once more for whom they were meant.
        signal.signal(ending, lambda *_: sys.exit(0))
    server = uvicorn.Server(uvicorn.Config(api, log_config=None, log_level="warning", access_log=False))
    server.run(sockets=[listener])
