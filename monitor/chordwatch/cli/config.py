"""`chords config`: effective settings and where each comes from."""

from __future__ import annotations

import click
from kombu.utils.url import maybe_sanitize_url
from rich.table import Table
from rich.text import Text

from chordwatch.cli import session
from chordwatch.settings import SETTINGS, read_settings


@click.command("config")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Print the effective settings and where each comes from."""
    app = session.app_of(ctx)
    settings = read_settings(app.conf)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("SETTING", "VALUE", "FROM", "MEANING"):
        table.add_column(column, overflow="fold")
    for setting in SETTINGS:
        value, origin = getattr(settings, setting.name), settings.origins[setting.name]
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        table.add_row(*(Text(cell) for cell in (setting.key, shown, origin, setting.help)))
    console = session.console(ctx)
    console.print(table)
    console.print(Text(f"\nBroker          {app.connection_for_read().as_uri()}"))
    backend = maybe_sanitize_url(app.conf.result_backend or "none")
    console.print(Text(f"Result backend  {backend}"))
