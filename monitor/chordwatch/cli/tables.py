"""Chords as two lines each: the facts in columns, then why. Foreign text goes in as `Text`, never as markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from chordwatch.model import FINISHED, Chord
from chordwatch.text import plain
from chordwatch.watch import Sighting
from chordwatch.watch.words import duration, progress_of, why

STYLES = {
    "hung": "bold red",
    "looping": "bold red",
    "failed": "red",
    "late": "yellow",
    "waiting": "cyan",
    "ok": "green",
    "done": "dim",
}
_BAR_WIDTH = 6
_TITLES = ("CHORD", "HEALTH", "DONE", "IDLE", "CALLBACK")
_RIGHT = (2, 3)
_ID_WIDTH = 36  # a uuid's; other ids may be longer and are shortened
_INDENT = 2


def chord_table(sightings: Sequence[Sighting], now: float) -> RenderableType:
    """Return lines for chords: id, health, progress, idle time, callback; below, what they wait for."""
    rows = [_cells(sighting.chord, now) for sighting in sightings]
    widths = [max(map(len, column)) for column in zip(_TITLES, *rows, strict=True)]
    head = Text(_row(_TITLES, widths), style="bold", no_wrap=True, overflow="ellipsis")
    return Group(
        head, *(line for pair in zip(sightings, rows, strict=True) for line in _lines(*pair, widths, now))
    )


def _cells(chord: Chord, now: float) -> tuple[str, ...]:
    callback = plain(chord.callback.name or "?")
    return plain(chord.chord_id, _ID_WIDTH), chord.health, progress_of(chord), idle(chord, now), callback


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(
        cell.rjust(width) if at in _RIGHT else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )


def _lines(
    sighting: Sighting, cells: tuple[str, ...], widths: list[int], now: float
) -> Iterator[RenderableType]:
    chord = sighting.chord
    line = Text(_row(cells, widths))
    health_at = widths[0] + 2
    line.stylize(STYLES[chord.health], health_at, health_at + widths[1])
    # Last, so that a narrow terminal cuts off the bar and not a name.
    line.append("  ").append_text(_bar(chord))
    line.no_wrap, line.overflow = True, "ellipsis"
    yield line
    reason = why(sighting, now=now)
    if reason:
        yield Padding(Text(reason, style="dim"), (0, 0, 0, _INDENT), expand=False)


def idle(chord: Chord, now: float) -> str:
    """Return how long nothing has happened to an open chord, or when a finished one ended."""
    since = chord.finished_at if chord.state in FINISHED else chord.progressed_at
    return duration(None if since is None else now - since)


def _bar(chord: Chord) -> Text:
    total = chord.counted if chord.size is None and chord.state in FINISHED else chord.size
    filled = min(chord.counted, total) * _BAR_WIDTH // total if total else 0
    return Text("━" * filled, style=STYLES[chord.health]).append("╌" * (_BAR_WIDTH - filled), style="dim")
