"""`chords results ID`: the parts that exist, in header order, gaps marked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from chordwatch.cli import session
from chordwatch.model import Chord
from chordwatch.text import plain
from chordwatch.watch import Watch

#: A terminal is shown so many parts; programs get all of them.
_ROWS = 1000


@click.command("results")
@click.argument("id_", metavar="ID")
@session.format_option
@click.pass_context
def command(ctx: click.Context, id_: str, format_: str) -> None:
    """Print the results of the header tasks that have one, in header order, with the gaps marked."""
    with session.watching(ctx) as watch:
        sighting, gaps = session.found(ctx, watch, id_, watch.sight(id_))
        rows = result_rows(sighting.chord, watch)
    if format_ == "json":
        session.print_json(rows)
    else:
        session.print_table(ctx, _table(rows[:_ROWS]))
        if len(rows) > _ROWS:
            click.echo(f"… and {len(rows) - _ROWS:,} more; --format json has all.")
    session.finish(ctx, watch, gaps)


def result_rows(chord: Chord, watch: Watch) -> list[dict[str, Any]]:
    """Return one row a part: index, task_id, name, state, result; state `missing` where none is counted.

    While the chord is open Celery keeps the parts together; afterwards each task's own result is left.
    """
    stored = {row["task_id"]: row["result"] for row in watch.results(chord.chord_id)}
    rows = [
        {
            "index": task.index,
            "task_id": task.task_id,
            "name": task.name,
            "state": task.state,
            "result": stored[task.task_id] if task.task_id in stored else watch.result(task.task_id or ""),
        }
        for task in chord.header
        if task.counted
    ]
    gaps = [
        {"index": gap.index, "task_id": gap.task_id, "name": gap.name, "state": "missing", "result": None}
        for gap in chord.missing
    ]
    return sorted(rows + gaps, key=_header_order)


def _header_order(row: Mapping[str, Any]) -> tuple[bool, int]:
    return row["index"] is None, row["index"] or 0


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("INDEX", "TASK", "STATE", "RESULT"):
        table.add_column(column)
    for row in rows:
        missing = row["state"] == "missing"
        cells = (
            "–" if row["index"] is None else str(row["index"]),
            plain(row["task_id"] or "not known"),
            row["state"],
            "" if missing else plain(session.json_text(row["result"], ascii_only=False), 100),
        )
        table.add_row(*(Text(cell) for cell in cells), style="red" if missing else None)
    return table
