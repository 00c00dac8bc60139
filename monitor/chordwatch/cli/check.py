"""`chords check`: for cron and CI, by two looks. Exit 1 when a chord is hung or looping, 3 when nobody could tell."""

from __future__ import annotations

import click

from chordwatch.cli import session
from chordwatch.cli.tables import chord_table
from chordwatch.errors import UnsupportedError
from chordwatch.evidence.polling import NO_BACKEND, is_none
from chordwatch.model import to_json
from chordwatch.watch import Watch
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
        if not alarming and is_none(session.app_of(ctx).backend) and not _records(watch):
            # Celery sends no chord without one: it was not named here, and what hangs would be seen there.
            raise UnsupportedError(f"{NO_BACKEND}: without it nobody can tell whether a chord is hung.")
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
    session.finish(ctx, watch, look.gaps, 1 if alarming else 0)


def _records(watch: Watch) -> bool:
    """Whether workers or producers have recorded anything, so that chords are judged without the backend."""
    totals = watch.totals()
    return totals is not None and bool(totals.workers or totals.counters.started)
