"""`chords show ID`."""

from __future__ import annotations

import time

import click

from chordwatch.cli import session
from chordwatch.cli.detail import chord_detail
from chordwatch.model import to_json


@click.command("show")
@click.argument("id_", metavar="ID")
@session.format_option
@click.pass_context
def command(ctx: click.Context, id_: str, format_: str) -> None:
    """Show one chord. ID is its group id, its callback's id, or the id of any of its header tasks."""
    with session.watching(ctx) as watch:
        sighting, gaps = session.found(ctx, watch, id_, watch.decided(id_))
    if format_ == "json":
        session.print_json(to_json(sighting.chord, header=True))
    else:
        session.print_table(ctx, chord_detail(session.for_app(ctx, sighting), time.time()))
    session.finish(ctx, watch, gaps)
