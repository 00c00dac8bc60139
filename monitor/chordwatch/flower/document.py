"""What the page shows of a board, as JSON: texts fit to be shown, numbers, and links. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chordwatch.board.links import chord_url
from chordwatch.board.rows import Board, ChordRow, QueueRow
from chordwatch.store.protocol import Membership
from chordwatch.text import plain
from chordwatch.watch.words import SENTENCE_LENGTH, duration

#: Rows of the page; the worst come first, and the rest is counted.
MAX_CHORDS, MAX_QUEUES = 500, 200
#: Links to Flower's tasks of a chord.
MAX_TASKS = 3

#: A task that Flower has in memory: id and state.
FlowerTask = tuple[str, str]
NO_MONITOR = (
    "No monitor runs, so Flower looks for itself while somebody has this page open. "
    "Start `celery -A proj chords monitor`: it sees more, keeps watching, and alerts."
)
NOT_INSTRUMENTED = (
    "No process records its chords: this is what broker and result backend tell. "
    "Call `chordwatch.instrument(app)` where the app is made."
)


def document(
    board: Board,
    tasks: Mapping[str, Iterable[tuple[FlowerTask, Membership]]],
    *,
    dashboard_url: str,
    task_url: Callable[[str], str],
) -> dict[str, Any]:
    """Return what the page shows.

    `tasks` are those that Flower has in memory, by chord; `task_url` returns the address of Flower's page of a task.
    """
    chords = board.chords[:MAX_CHORDS]
    total = sum(board.counts.values()) + board.beyond
    return {
        "taken_at": board.taken_at,
        "looker": "the monitor" if board.looker == "monitor" else "Flower itself",
        "interval": board.interval,
        "counts": {"open": total, **board.counts},
        "stuck": board.stuck,
        "notes": list(_notes(board, shown=len(chords), total=total)),
        "chords": [
            _chord(row, rank, now=board.taken_at, dashboard_url=dashboard_url)
            | {"tasks": [_task(task, as_what, task_url) for task, as_what in _first(tasks.get(row.chord_id))]}
            for rank, row in enumerate(chords)
        ],
        "queues": [_queue(row, board.taken_at) for row in board.queues[:MAX_QUEUES]],
    }


def _chord(row: ChordRow, rank: int, *, now: float, dashboard_url: str) -> dict[str, Any]:
    size = "?" if row.size is None else f"{row.size:,}"
    age = None if row.opened_at is None else max(0.0, now - row.opened_at)
    return {
        "rank": rank,
        "id": plain(row.chord_id),
        "url": chord_url(dashboard_url, row.chord_id) if dashboard_url else None,
        "callback": "?" if row.callback is None else plain(row.callback),
        "health": row.health,
        "stuck": row.health in ("hung", "looping"),
        "progress": f"{row.counted:,} of {size}",
        "why": plain(row.why, SENTENCE_LENGTH),
        "cause": plain(row.cause) if row.cause else "",
        "waits_for": plain(row.waits_for, SENTENCE_LENGTH),
        "age": age,
        "age_words": duration(age),
    }


def _queue(row: QueueRow, now: float) -> dict[str, Any]:
    oldest = None if row.oldest_at is None else max(0.0, now - row.oldest_at)
    return {
        "name": plain(row.name),
        "length": row.length,
        "unacked": row.unacked,
        "consumers": row.consumers,
        "stuck": row.stuck,
        "oldest": oldest,
        "oldest_words": "" if oldest is None else duration(oldest),
    }


def _first(
    tasks: Iterable[tuple[FlowerTask, Membership]] | None,
) -> list[tuple[FlowerTask, Membership]]:
    """Return the tasks to link to: those first that have not succeeded, in the order of the header."""
    return sorted(
        tasks or (),
        key=lambda each: (each[0][1] == "SUCCESS", each[1].index is None, each[1].index or 0, each[0][0]),
    )[:MAX_TASKS]


def _task(task: FlowerTask, as_what: Membership, task_url: Callable[[str], str]) -> dict[str, str]:
    index = "" if as_what.index is None else f" {as_what.index}"
    return {"label": f"{as_what.role}{index}", "state": plain(task[1]), "url": task_url(task[0])}


def _notes(board: Board, *, shown: int, total: int) -> Iterable[str]:
    if board.looker != "monitor":
        yield NO_MONITOR
    if not board.instrumented:
        yield NOT_INSTRUMENTED
    if board.partial:
        yield "The look ended on its time budget: there may be chords that it has not seen."
    if total > shown:
        yield f"The worst {shown:,} of {total:,} open chords are shown."
    if len(board.queues) > MAX_QUEUES:
        yield f"The longest {MAX_QUEUES:,} of {len(board.queues):,} queues are shown."
    for note in board.notes:
        yield plain(note, SENTENCE_LENGTH)
