"""Chords as two lines each: the facts in columns, then why. Foreign text goes in as `Text`, never as markup."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from chordwatch.model import FINISHED, Chord
from chordwatch.text import plain
from chordwatch.watch import Sighting
from chordwatch.watch.words import duration, progress_of, waits_for, why

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
#: In the live view the bar has a line with room for it.
_LIVE_BAR_WIDTH = 20
_TITLES = ("CHORD", "HEALTH", "DONE", "IDLE", "CALLBACK")
_RIGHT = (2, 3)
_ID_WIDTH = 36  # a uuid's; other ids may be longer and are shortened
_INDENT = 2


def chord_table(sightings: Sequence[Sighting], now: float) -> RenderableType:
    """Return lines for chords: id, health, progress, idle time, callback; below, what they wait for."""
    return _table(sightings, now, lambda seen, line: _explained(seen, line, now))


def live_table(sightings: Sequence[Sighting], now: float, rates: Mapping[str, float]) -> RenderableType:
    """Return the same with a longer bar below, and how many parts are counted a second (by chord id)."""
    return _table(sightings, now, lambda seen, line: _moving(seen, line, now, rates.get(seen.chord.chord_id)))


def _table(
    sightings: Sequence[Sighting],
    now: float,
    lines: Callable[[Sighting, Text], Iterator[RenderableType]],
) -> RenderableType:
    rows = [_cells(sighting.chord, now) for sighting in sightings]
    widths = [max(map(len, column)) for column in zip(_TITLES, *rows, strict=True)]
    head = Text(_row(_TITLES, widths).rstrip(), style="bold", no_wrap=True, overflow="ellipsis")
    facts = (_facts(seen.chord, cells, widths) for seen, cells in zip(sightings, rows, strict=True))
    return Group(
        head, *(line for seen, fact in zip(sightings, facts, strict=True) for line in lines(seen, fact))
    )


def _cells(chord: Chord, now: float) -> tuple[str, ...]:
    callback = plain(chord.callback.name or "?")
    return plain(chord.chord_id, _ID_WIDTH), chord.health, progress_of(chord), idle(chord, now), callback


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(
        cell.rjust(width) if at in _RIGHT else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )


def _facts(chord: Chord, cells: tuple[str, ...], widths: list[int]) -> Text:
    line = Text(_row(cells, widths), no_wrap=True, overflow="ellipsis")
    health_at = widths[0] + 2
    line.stylize(STYLES[chord.health], health_at, health_at + widths[1])
    return line


def _explained(sighting: Sighting, line: Text, now: float) -> Iterator[RenderableType]:
    yield _WithBar(line, _bar(sighting.chord, _BAR_WIDTH))
    reason = why(sighting, now=now)
    if reason:
        yield Padding(Text(reason, style="dim"), (0, 0, 0, _INDENT), expand=False)


class _WithBar:
    """A line with a bar at its end where the terminal is wide enough for both: a name is worth more than its bar."""

    def __init__(self, line: Text, bar: Text) -> None:
        self._line, self._bar = line, bar

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        whole = Text.assemble(self._line, "  ", self._bar, no_wrap=True, overflow="ellipsis")
        if whole.cell_len <= options.max_width:
            yield whole
        else:
            self._line.rstrip()
            yield self._line


def _moving(sighting: Sighting, line: Text, now: float, rate: float | None) -> Iterator[RenderableType]:
    yield line
    below = Text(" " * _INDENT, no_wrap=True, overflow="ellipsis")
    below.append_text(_bar(sighting.chord, _LIVE_BAR_WIDTH))
    if rate:
        below.append(f" {rate:,.1f}/s")
    well = sighting.chord.health in ("ok", "waiting")
    reason = waits_for(sighting, now=now, running_first=True) if well else why(sighting, now=now)
    yield below.append(f" {reason}", style="dim")


def idle(chord: Chord, now: float) -> str:
    """Return how long nothing has happened to an open chord, or when a finished one ended."""
    since = chord.finished_at if chord.state in FINISHED else chord.progressed_at
    return duration(None if since is None else now - since)


def _bar(chord: Chord, width: int) -> Text:
    total = chord.counted if chord.size is None and chord.state in FINISHED else chord.size
    filled = min(chord.counted, total) * width // total if total else 0
    return Text("━" * filled, style=STYLES[chord.health]).append("╌" * (width - filled), style="dim")
