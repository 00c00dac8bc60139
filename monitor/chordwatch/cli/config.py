"""`chords config`: effective settings and where each comes from."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table
from rich.text import Text

from chordwatch.cli import session
from chordwatch.errors import SettingError
from chordwatch.package_data import data_folder
from chordwatch.settings import SETTINGS, Setting, Settings, Value, read_settings, shown_url, store_url_of


@click.command("config")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Print the effective settings and where each comes from."""
    app = session.app_of(ctx)
    settings = read_settings(app.conf)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("SETTING", "VALUE", "FROM", "MEANING"):
        table.add_column(column, overflow="fold", no_wrap=column in ("SETTING", "FROM"))
    for setting in SETTINGS:
        shown = _shown(setting, getattr(settings, setting.name))
        table.add_row(
            *(Text(cell) for cell in (setting.key, shown, settings.origins[setting.name], setting.help))
        )
    console = session.console(ctx)
    console.print(table)
    console.print(Text(f"\nBroker          {app.connection_for_read().as_uri()}"))
    console.print(Text(f"Result backend  {_backend(app.conf.result_backend)}"))
    console.print(Text(f"Store           {_store(settings, app.conf)}"))
    console.print(Text(f"Dashboards      {data_folder('dashboards')}"))
    console.print(Text(f"Alert rules     {data_folder('alerts')}"))


def _shown(setting: Setting, value: Value) -> str:
    if setting.kind == "URL of Redis":
        return shown_url(str(value)) if value else ""
    if setting.kind == "password":
        return "**" if value else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(f"{bound:.12g}" for bound in value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _backend(configured: object) -> str:
    if not configured:
        return "none"
    return shown_url(configured) if isinstance(configured, str) else type(configured).__name__


def _store(settings: Settings, conf: Any) -> str:
    try:
        return shown_url(store_url_of(settings.store_url, conf)[0])
    except SettingError as exc:
        return f"none. {exc}"
