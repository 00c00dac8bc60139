"""When each task of a chord waited, started and ended, and where: one line a run, readable in 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from rich.table import Table
from rich.text import Text

from chordwatch.board.timeline import runs_of
from chordwatch.model import Attempt, Callback, HeaderTask
from chordwatch.text import plain
from chordwatch.watch.words import span

#: Of a task that began again and again the last runs are shown.
_RUNS = 5
_ID_LENGTH = 8
_COLUMNS = ("TASK", "WAITED", "STARTED", "ENDED", "RAN", "RUN", "WORKER")
_RIGHT = ("TASK", "WAITED", "RAN")


def timeline(tasks: Iterable[HeaderTask], callback: Callback, now: float) -> Table | None:
    """Return the table; None when no time of any task is known, as of chords that nobody recorded."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in _COLUMNS:
        table.add_column(
            column,
            justify="right" if column in _RIGHT else "left",
            no_wrap=column != "WORKER",
            overflow="fold",
        )
    for task in tasks:
        for cells in _runs(task, now):
            table.add_row(*map(Text, cells))
    for run in runs_of(callback):
        table.add_row(*map(Text, _cells("callback", run, None, now)))
    return table if table.row_count else None


def time_of_day(at: float | None, now: float) -> str:
    """Return a time in this machine's zone to the millisecond; of another day to the second, with the day."""
    if at is None:
        return ""
    moment = datetime.fromtimestamp(at).astimezone()
    if moment.date() != datetime.fromtimestamp(now).astimezone().date():
        return moment.strftime("%m-%d %H:%M:%S")
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def _runs(task: HeaderTask, now: float) -> Iterator[tuple[str, ...]]:
    title = plain(task.task_id or "", _ID_LENGTH) if task.index is None else str(task.index)
    runs = runs_of(task)
    hidden = len(runs) - _RUNS
    if hidden > 0:
        yield (title, "", f"… {hidden:,} runs before", "", "", "", "")
    for run in runs[-_RUNS:]:
        yield _cells(title, run, run.state if len(runs) > 1 else None, now)
        title = ""


def _cells(title: str, run: Attempt, state: str | None, now: float) -> tuple[str, ...]:
    number = "" if run.started_at is None and run.finished_at is None else str(run.attempt + 1)
    return (
        title,
        _waited(run, now),
        time_of_day(run.started_at, now),
        time_of_day(run.finished_at, now),
        _ran(run, now),
        f"{number} {state or ''}".strip(),
        plain(run.worker or ""),
    )


def _waited(run: Attempt, now: float) -> str:
    if run.published_at is None:
        return ""
    if run.started_at is not None:
        return span(run.started_at - run.published_at)
    return "" if run.finished_at is not None else f"{span(now - run.published_at)} …"


def _ran(run: Attempt, now: float) -> str:
    if run.started_at is None:
        return ""
    if run.finished_at is not None:
        return span(run.finished_at - run.started_at)
    return f"{span(now - run.started_at)} …" if run.state == "started" else ""
