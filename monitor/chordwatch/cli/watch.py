"""`chords watch`: the open chords, live."""

from __future__ import annotations

import time
from collections import deque

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from chordwatch.cli import session
from chordwatch.cli.tables import live_table
from chordwatch.watch import Look
from chordwatch.watch.words import severity

_SECONDS = 2.0
#: The rate is that of so many looks.
_REMEMBERED = 5


@click.command("watch")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show the open chords live; Ctrl-C ends it."""
    console = session.console(ctx)
    if not console.is_terminal:
        raise click.UsageError("`watch` needs a terminal; use `list` or `check` in scripts.")
    with session.watching(ctx) as watch, Live(console=console, screen=True, auto_refresh=False) as live:
        rates = Rates()
        try:
            while True:
                look = watch.look(health="open", limit=None)
                page = _page(look, rates.update(look), rows=max(1, (console.height - 6) // 2))
                live.update(page, refresh=True)
                time.sleep(_SECONDS)
        except KeyboardInterrupt:
            return


class Rates:
    """Parts counted a second by chord id, over the last looks."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, dict[str, int]]] = deque(maxlen=_REMEMBERED)

    def update(self, look: Look) -> dict[str, float]:
        """Take in a look; return the rates of the chords that were seen before."""
        counted = {chord.chord_id: chord.counted for chord in look.chords}
        self._looks.append((look.taken_at, counted))
        rates: dict[str, float] = {}
        for taken_at, before in self._looks:  # the oldest look that knows the chord is the first
            if taken_at < look.taken_at:
                for chord_id in counted.keys() & before.keys() - rates.keys():
                    rates[chord_id] = (counted[chord_id] - before[chord_id]) / (look.taken_at - taken_at)
        return rates


def _page(look: Look, rates: dict[str, float], rows: int) -> RenderableType:
    clock = time.strftime("%H:%M:%S", time.localtime(look.taken_at))
    title = Text(f"{len(look.sightings):,} open chords at {clock}; Ctrl-C ends", style="bold")
    more = len(look.sightings) - rows
    lines = [Text(f"… and {more:,} more", style="dim")] if more > 0 else []
    notes = [Text(sentence, style="dim") for sentence in look.gaps[:2]]
    worst = sorted(look.sightings, key=lambda sighting: severity(sighting.chord))
    return Group(title, Text(), live_table(worst[:rows], look.taken_at, rates), *lines, *notes)
