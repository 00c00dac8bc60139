"""`chords check`: for cron and CI, by two looks. Exit 1 when a chord is hung or looping."""

from __future__ import annotations

import click

from chordwatch.cli import session
from chordwatch.cli.tables import chord_table
from chordwatch.model import to_json
from chordwatch.watch.words import unlocated

_ALARMING = ("hung", "looping")


@click.command("check")
@session.format_option
@click.pass_context
def command(ctx: click.Context, format_: str) -> None:
    """Exit 1 when a chord is hung or looping, and name it."""
    with session.watching(ctx) as watch:
        look = watch.explain_open(limit=None)
    alarming = [sighting for sighting in look.sightings if sighting.chord.health in _ALARMING]
    if format_ == "json":
        session.print_json([to_json(sighting.chord, header=False) for sighting in alarming])
    elif alarming:
        session.print_table(ctx, chord_table(alarming, look.taken_at))
    else:
        lost = sum(unlocated(sighting) > 0 for sighting in look.sightings)
        also = (
            f", {lost:,} of them with parts that were not located (`chords list` shows them)" if lost else ""
        )
        click.echo(f"No chord is known to be hung or looping; {len(look.sightings):,} open{also}.")
    session.print_gaps(look.gaps)
    ctx.exit(1 if alarming else 0)
