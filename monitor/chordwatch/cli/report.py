"""`chords report ID`."""

from __future__ import annotations

import click

from chordwatch.board.report import report_of
from chordwatch.cli import session


@click.command("report")
@click.argument("id_", metavar="ID")
@click.pass_context
def command(ctx: click.Context, id_: str) -> None:
    """Print a Markdown report on one chord, fit for a public ticket."""
    with session.watching(ctx) as watch:
        sighting, gaps = session.found(ctx, watch, id_, watch.decided(id_))
    click.echo(report_of(session.for_app(ctx, sighting), gaps, session.app_of(ctx)))
    # The report says what was not seen, without addresses; whoever sends it on is told why the exit code is not 0.
    session.finish(ctx, watch, gaps if watch.store_away else ())
