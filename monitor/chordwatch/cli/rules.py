"""`chords rules`: the recording and alert rules for Prometheus."""

from __future__ import annotations

import click

from chordwatch.errors import SettingError
from chordwatch.metrics.alerts import DASHBOARD_URL, RUNBOOK_URL, rules_text
from chordwatch.settings import SETTINGS, read_settings
from chordwatch.settings.values import checked

_ADDRESS = next(setting for setting in SETTINGS if setting.name == "dashboard_url")


@click.command("rules")
@click.option(
    "--dashboard-url",
    metavar="URL",
    help=f"Where people open the dashboard.  [default: chordwatch_dashboard_url, else {DASHBOARD_URL}]",
)
@click.option(
    "--runbook-url",
    metavar="URL",
    help=f"The page that has a section for each cause.  [default: {RUNBOOK_URL}]",
)
@click.pass_context
def command(ctx: click.Context, dashboard_url: str | None, runbook_url: str | None) -> None:
    """Print recording and alert rules for Prometheus, with links to your own pages."""
    dashboard = _address("--dashboard-url", dashboard_url) or _address(
        _ADDRESS.key, read_settings(ctx.obj.app.conf).dashboard_url
    )
    runbook = _address("--runbook-url", runbook_url)
    text = rules_text(dashboard_url=dashboard or DASHBOARD_URL, runbook_url=runbook or RUNBOOK_URL)
    click.echo(text, nl=False)


def _address(where: str, url: str | None) -> str:
    """Return an address that a path or a fragment can follow, nothing where none is given.

    Raises:
        SettingError: it is none.
    """
    address = str(checked(_ADDRESS, url or "", where))
    if "?" in address or "#" in address:
        raise SettingError(f"{where} must not have a ? or a #, because more is appended to it.")
    return address
