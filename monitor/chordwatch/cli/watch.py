"""`chords watch`: the open chords, live."""

from __future__ import annotations

import time

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from chordwatch.cli import session
from chordwatch.cli.tables import chord_table
from chordwatch.watch import Look
from chordwatch.watch.words import severity

_SECONDS = 2.0


@click.command("watch")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show the open chords live; Ctrl-C ends it."""
    console = session.console(ctx)
    if not console.is_terminal:
        raise click.UsageError("`watch` needs a terminal; use `list` or `check` in scripts.")
    with session.watching(ctx) as watch, Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                look = watch.look(health="open", limit=None)
                live.update(_page(look, rows=max(1, (console.height - 6) // 2)), refresh=True)
                time.sleep(_SECONDS)
        except KeyboardInterrupt:
            return


def _page(look: Look, rows: int) -> RenderableType:
    clock = time.strftime("%H:%M:%S", time.localtime(look.taken_at))
    title = Text(f"{len(look.sightings):,} open chords at {clock}; Ctrl-C ends", style="bold")
    more = len(look.sightings) - rows
    lines = [Text(f"… and {more:,} more", style="dim")] if more > 0 else []
    notes = [Text(sentence, style="dim") for sentence in look.gaps[:2]]
    worst = sorted(look.sightings, key=lambda sighting: severity(sighting.chord))
    return Group(title, Text(), chord_table(worst[:rows], look.taken_at), *lines, *notes)
