# ruff: noqa: INP001  # Streamlit puts this folder on sys.path, so these are modules and not a package
"""The header of one chord as tables: its tasks, and the errors they ended in. Tables draw every text literally.

Runs in Streamlit's process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd  # type: ignore[import-untyped, unused-ignore]  # comes with Streamlit, without types
import streamlit as st

from chordwatch.board.chord_page import ChordPage, TaskRow
from chordwatch.text import plain

#: Rows that are sent to the browser at once; characters of an id.
ROWS, ID_LENGTH = 1000, 120
COLUMNS = st.column_config
RAN = "The last attempt; of one that was lost with its worker, until the worker's end as far as that is known"
SHOWN = {"all": "All", "missing": "Not counted", "eventful": "Failed or tried again"}


def show_tasks(page: ChordPage) -> None:
    """Draw the parts of the header, those worth reading first, a page at a time."""
    st.subheader("Header tasks", anchor=False)
    if not page.tasks:
        st.caption("No header task is known: none is counted, and no message of one is left.")
        return
    which, part = st.columns([3, 1], vertical_alignment="bottom")
    choice = which.segmented_control(
        "Which",
        list(SHOWN),
        default="all",
        format_func=SHOWN.__getitem__,
        key="which",
        label_visibility="collapsed",
    )
    rows = [row for row in page.tasks if is_shown(row, choice or "all")]
    pages = max(1, -(-len(rows) // ROWS))
    number = int(part.number_input("Page", 1, pages, key=f"page of {pages}")) if pages > 1 else 1
    shown = rows[(number - 1) * ROWS : number * ROWS]
    st.dataframe(
        task_frame(shown, page),
        column_config=task_columns(),
        hide_index=True,
        placeholder="",
        key="header tasks",
    )
    if pages > 1:
        first = (number - 1) * ROWS + 1
        st.caption(f"{first:,} to {first + len(shown) - 1:,} of {len(rows):,} tasks.")


def is_shown(row: TaskRow, choice: str) -> bool:
    """Whether a row belongs to what the viewer chose."""
    eventful = (
        bool(row.error) or row.runs > 1 or row.state not in ("succeeded", "published", "received", "started")
    )
    return {"missing": not row.counted, "eventful": eventful}.get(choice, True)


def task_frame(rows: Sequence[TaskRow], page: ChordPage) -> pd.DataFrame:
    """Return the rows as a table; columns that say nothing are left out."""
    frame = pd.DataFrame(
        {
            "index": [row.index for row in rows],
            "task": [row.name for row in rows],
            "state": [state_words(row) for row in rows],
            "where": [row.where for row in rows],
            "error": [row.error for row in rows],
            "waited": [row.waited for row in rows],
            "ran": [row.ran for row in rows],
            "runs": [row.runs for row in rows],
            "worker": [row.worker for row in rows],
            "queue": [row.queue for row in rows],
            "flower": [page.links.of_task(row.task_id) or None for row in rows],
            "id": [plain(row.task_id, ID_LENGTH) for row in rows],
        }
    )
    empty = [name for name in ("where", "error", "worker", "queue", "flower") if not frame[name].any()]
    return frame.drop(columns=empty)


def state_words(row: TaskRow) -> str:
    """Return the state of a part in words."""
    return ", ".join(filter(None, (row.state, row.lost, "" if row.counted else "not counted")))


def task_columns() -> dict[str, Any]:
    """Return how the columns are titled and drawn."""
    return {
        "index": COLUMNS.NumberColumn("Index", width="small"),
        "task": COLUMNS.TextColumn("Task"),
        "state": COLUMNS.TextColumn("State"),
        "where": COLUMNS.TextColumn("Where", width=260, help="Of a part that is not counted"),
        "error": COLUMNS.TextColumn("Error", width=260),
        "waited": COLUMNS.NumberColumn(
            "Waited", format="%.2f s", help="From published to started, the last attempt"
        ),
        "ran": COLUMNS.NumberColumn("Ran", format="%.2f s", help=RAN),
        "runs": COLUMNS.NumberColumn("Attempts", width="small"),
        "worker": COLUMNS.TextColumn("Worker"),
        "queue": COLUMNS.TextColumn("Queue"),
        "id": COLUMNS.TextColumn("Task id"),
        "flower": COLUMNS.LinkColumn("Flower", display_text="open", width="small"),
    }


def show_errors(page: ChordPage) -> None:
    """Draw the different errors with how many tasks had them."""
    if page.errors:
        st.subheader("Errors", anchor=False)
        titles = ["Tasks", "For example", "Error"]
        frame = pd.DataFrame([(row.count, row.task, row.error) for row in page.errors], columns=titles)
        st.dataframe(frame, hide_index=True, key="errors")
