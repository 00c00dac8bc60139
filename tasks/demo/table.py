"""What the tour shows: a live table of chords on a terminal, a line for each change elsewhere.

All names come from messages, so they are printed literally (`Text`), never as markup.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from chordwatch.model import Chord
from chordwatch.watch.words import cause_of, progress_of
from tasks.demo.plays import Play

STYLES = {
    "ok": "cyan",
    "waiting": "yellow",
    "late": "dark_orange",
    "looping": "magenta",
    "hung": "bold red",
    "failed": "red",
    "done": "green",
}


def table_of(chords: Sequence[Chord], names: Mapping[str, str]) -> Table:
    """Return the chords as a table; `names` says which scenario a chord belongs to."""
    table = Table(title="Celery chords", expand=True)
    for heading in ("scenario", "chord", "callback"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    table.add_column("progress", width=20)
    table.add_column("k of N", justify="right", no_wrap=True)
    table.add_column("health", no_wrap=True)
    table.add_column("why", ratio=1, no_wrap=True, overflow="ellipsis")
    for chord in chords:
        table.add_row(
            Text(names.get(chord.chord_id, "")),
            Text(chord.chord_id[:8]),
            Text((chord.callback.name or "").removeprefix("tasks.")),
            ProgressBar(total=1.0, completed=fraction(chord), width=20),
            Text(progress_of(chord)),
            Text(chord.health, style=STYLES[chord.health]),
            Text(cause_of(chord)),
        )
    return table


def fraction(chord: Chord) -> float:
    """Return how far the chord is, 0 to 1; 0 where N is not known."""
    if chord.state == "succeeded":
        return 1.0
    return min(1.0, chord.counted / chord.size) if chord.size else 0.0


class Screen:
    """Where the tour is shown, until `close`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = time.monotonic()
        self._said: dict[str, str] = {}
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        if self._live is not None:
            self._live.start()

    def show(self, chords: Sequence[Chord], plays: Sequence[Play]) -> None:
        """Redraw the table, or print what has changed since the last time."""
        names = {play.chord_id: play.scenario.name for play in plays if play.chord_id is not None}
        if self._live is not None:
            self._live.update(table_of(chords, names), refresh=True)
            return
        for chord in chords:
            name = names.get(chord.chord_id, chord.callback.name or chord.chord_id[:8])
            self._say_once(chord.chord_id, f"{name:<26} {progress_of(chord):>7}  {chord.health}")

    def _say_once(self, key: str, line: str) -> None:
        if self._said.get(key) != line:
            self._said[key] = line
            self.say(f"{time.monotonic() - self._begun:5.1f} s  {line}")

    def say(self, line: str) -> None:
        """Print a line, above the table where there is one."""
        self._console.print(Text(line), soft_wrap=True)

    def close(self) -> None:
        """Give the terminal back; the last table stays."""
        if self._live is not None:
            self._live.stop()
