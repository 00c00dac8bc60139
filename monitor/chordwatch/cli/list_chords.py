"""`chords list`."""

from __future__ import annotations

import click

from chordwatch.cli import session
from chordwatch.cli.tables import chord_table
from chordwatch.model import to_json


@click.command("list")
@session.health_option
@session.callback_option
@session.limit_option
@session.format_option
@click.pass_context
def command(ctx: click.Context, health: str, callback: str | None, limit: int, format_: str) -> None:
    """List chords: oldest open first, then newest finished."""
    with session.watching(ctx) as watch:
        look = watch.decided_look(health=health, callback=callback, limit=limit)
    if format_ == "json":
        session.print_json([to_json(chord, header=False) for chord in look.chords])
    elif look.sightings:
        session.print_table(ctx, chord_table(look.sightings, look.taken_at))
    else:
        click.echo("No chords." if health == "all" else f"No chords with health {health}.")
    session.finish(ctx, watch, look.gaps)
