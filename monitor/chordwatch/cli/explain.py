"""`chords explain [ID]`: diagnose now, from ground truth, by two looks."""

from __future__ import annotations

import time

import click

from chordwatch.cli import session
from chordwatch.cli.detail import chord_detail
from chordwatch.cli.tables import chord_table
from chordwatch.model import to_json


@click.command("explain")
@click.argument("id_", metavar="[ID]", required=False)
@session.limit_option
@session.format_option
@click.pass_context
def command(ctx: click.Context, id_: str | None, limit: int, format_: str) -> None:
    """Say why a chord, or without ID every open one, has not finished.

    Broker, result backend and workers are looked at twice, and once more where that is puzzling: what is nowhere
    in one look may be on its way.
    """
    with session.watching(ctx) as watch:
        if id_ is None:
            look = watch.explain_open(limit)
        else:
            sighting, gaps = session.found(ctx, watch, id_, watch.explained(id_))
    if id_ is not None:
        if format_ == "json":
            session.print_json(to_json(sighting.chord, header=True))
        else:
            session.print_table(ctx, chord_detail(session.for_app(ctx, sighting), time.time()))
    elif format_ == "json":
        session.print_json([to_json(chord, header=False) for chord in look.chords])
    elif look.sightings:
        session.print_table(ctx, chord_table(look.sightings, look.taken_at))
    else:
        click.echo("No chord is open.")
    session.finish(ctx, watch, look.gaps if id_ is None else gaps)
