# ruff: noqa: INP001  # Streamlit puts this folder on sys.path, so these are modules and not a package
"""The tables of the dashboard: chords, groups of chords, queues, workers. Ticking a row opens what it tells of.

Runs in Streamlit's process. Tables draw every text literally. They are given moments and not ages, which the browser
computes: a table that did not change is not sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import chord_ui
import numpy as np
import pandas as pd  # type: ignore[import-untyped, unused-ignore]  # comes with Streamlit, without types
import streamlit as st

from chordwatch.board.chord_page import RelatedRow
from chordwatch.board.grouping import Group, label
from chordwatch.board.rows import ChordRow, QueueRow, WorkerRow
from chordwatch.text import plain
from chordwatch.watch.words import SENTENCE_LENGTH, UNKNOWN

#: Pixels. Streamlit wraps the text of cells above 64 only: three lines, enough to read a cause, and five for a remedy.
_TALL_ROW, _GROUP_ROW, _ROW, _HEADER = 66, 106, 35, 38
#: Of a table; beyond it scrolls.
_TALLEST = 700
#: What numpy takes for no time.
_NO_TIME = np.iinfo(np.int64).min
#: No filters.
_ALL: Mapping[str, str] = {}
#: Characters of a name.
_NAME_LENGTH = 200


def chord_table(rows: Sequence[ChordRow], *, key: str) -> None:
    """Draw open chords; ticking one opens its page."""
    frame = pd.DataFrame(
        {
            "health": [[row.health] for row in rows],
            "callback": [plain(row.callback or UNKNOWN, _NAME_LENGTH) for row in rows],
            "why": [plain(row.why, SENTENCE_LENGTH) for row in rows],
            "counted": [_counted(row) for row in rows],
            "progress": pd.Series([_share(row) for row in rows], dtype="float64"),
            "waits_for": [plain(row.waits_for, SENTENCE_LENGTH) for row in rows],
            "opened": _moments(row.opened_at for row in rows),
            "progressed": _moments(row.progressed_at for row in rows),
            "chord_id": [plain(row.chord_id, _NAME_LENGTH) for row in rows],
        }
    )
    columns = st.column_config
    _clickable(
        frame,
        {
            "health": _health_column(),
            "callback": columns.TextColumn("Callback", width=165),
            "why": columns.TextColumn("Why", width=335),
            "counted": columns.TextColumn("Counted", help="Header tasks counted, k of N", width=80),
            # The number stands beside it.
            "progress": columns.ProgressColumn("", format=" ", min_value=0, max_value=1, width=70),
            "waits_for": columns.TextColumn("Waits for", help="Where the missing tasks are", width=140),
            "opened": _ago_column("Opened"),
            "progressed": _ago_column("Last progress"),
            "chord_id": columns.TextColumn("Chord id", width=280),
        },
        key=key,
        goes_to=[{"chord": row.chord_id} for row in rows],
        row_height=_TALL_ROW,
    )


def group_table(groups: Sequence[Group], *, key: str, by: str, within: Mapping[str, str] = _ALL) -> None:
    """Draw chords grouped by `by`: cause or queue; ticking a group opens its chords among those `within` filters."""
    frame = pd.DataFrame(
        {
            "health": [[group.health] for group in groups],
            "chords": [group.chords for group in groups],
            "says": [plain(group.says, SENTENCE_LENGTH) for group in groups],
            "remedy": [plain(group.remedy, chord_ui.REMEDY_LENGTH) for group in groups],
            "why": [plain(group.why, SENTENCE_LENGTH) for group in groups],
            "opened": _moments(group.opened_at for group in groups),
            "callbacks": [_names(group.callbacks, group.more_callbacks) for group in groups],
        }
    )
    columns = st.column_config
    _clickable(
        frame,
        {
            "health": _health_column(),
            "chords": columns.NumberColumn("Chords", format="localized", width=75),
            "says": columns.TextColumn("What", width=260),
            "remedy": columns.TextColumn("What to do", width=330),
            "why": columns.TextColumn("The oldest one", width=290),
            "opened": _ago_column("Oldest opened"),
            "callbacks": columns.TextColumn("Callbacks", width=180),
        },
        key=key,
        goes_to=[{**within, by: group.name} if group.name else {} for group in groups],
        row_height=_GROUP_ROW,
    )


def queue_table(rows: Sequence[QueueRow], *, key: str) -> None:
    """Draw queues with their depth as bars; ticking one opens the stuck chords that wait on it."""
    frame = pd.DataFrame(
        {
            "name": [plain(row.name, _NAME_LENGTH) for row in rows],
            "length": [row.length for row in rows],
            "unacked": [row.unacked for row in rows],
            "consumers": [_consumers(row) for row in rows],
            "oldest": _moments(row.oldest_at for row in rows),
            "stuck": [row.stuck for row in rows],
        }
    )
    columns = st.column_config
    longest = max((row.length for row in rows), default=0)
    _clickable(
        frame,
        {
            "name": columns.TextColumn("Queue", width="medium"),
            "length": columns.ProgressColumn(
                "Waiting",
                help="Tasks in the queue",
                format="localized",
                min_value=0,
                max_value=max(1, longest),
            ),
            "unacked": columns.NumberColumn(
                "Unacked", help="Tasks delivered to a worker and not yet acknowledged", format="localized"
            ),
            "consumers": columns.TextColumn(
                "Consumers",
                help="Workers that say they read the queue; ? where no worker was asked",
                width=175,
            ),
            "oldest": _ago_column("Oldest", help="When the oldest chord task in it was published"),
            "stuck": columns.NumberColumn(
                "Stuck chords", help="Chords with a task in it that will not finish", format="localized"
            ),
        },
        key=key,
        goes_to=[{"queue": label(row.name)} for row in rows],
    )


def worker_table(rows: Sequence[WorkerRow], *, key: str) -> None:
    """Draw workers."""
    frame = pd.DataFrame(
        {
            "state": [["up" if row.up else "vanished"] for row in rows],
            "hostname": [plain(row.hostname, _NAME_LENGTH) for row in rows],
            "beat": _moments(row.last_beat_at for row in rows),
            "tasks": [row.chord_tasks for row in rows],
            "queues": [_names(row.queues, 0) for row in rows],
        }
    )
    columns = st.column_config
    st.dataframe(
        frame,
        column_config={
            "state": columns.MultiselectColumn(
                "State",
                options=["up", "vanished"],
                color=[chord_ui.HEX["ok"], chord_ui.HEX["hung"]],
                help="Vanished: its heartbeats stopped, and it said no goodbye",
                width=100,
            ),
            "hostname": columns.TextColumn("Worker", width="medium"),
            "beat": _ago_column("Last heartbeat", help="None of a worker that is not instrumented"),
            "tasks": columns.NumberColumn("Chord tasks", help="Those it holds", format="localized"),
            "queues": columns.TextColumn("Queues", width="large"),
        },
        hide_index=True,
        placeholder="",
        height=_height(len(rows), _ROW),
        key=key,
    )


def related_table(rows: Sequence[RelatedRow], *, key: str) -> None:
    """Draw the chords that belong to one; a click on one opens its page."""
    frame = pd.DataFrame(
        {
            "health": [[row.health] for row in rows],
            "callback": [row.callback for row in rows],
            "relation": [row.relation for row in rows],
            "counted": [row.progress for row in rows],
            "why": [plain(row.why, SENTENCE_LENGTH) for row in rows],
            "chord_id": [plain(row.chord_id, _NAME_LENGTH) for row in rows],
        }
    )
    columns = st.column_config
    _clickable(
        frame,
        {
            "health": _health_column(),
            "callback": columns.TextColumn("Callback", width=180),
            "relation": columns.TextColumn("How it belongs here", width=230),
            "counted": columns.TextColumn("Counted", width=90),
            "why": columns.TextColumn("Why", width=330),
            "chord_id": columns.TextColumn("Chord id", width=140),
        },
        key=key,
        goes_to=[{"chord": row.chord_id} for row in rows],
    )


def _clickable(
    frame: pd.DataFrame,
    columns: dict[str, Any],
    *,
    key: str,
    goes_to: list[dict[str, str]],
    row_height: int = _ROW,
) -> None:
    """Draw a table in which ticking a row goes to what `goes_to` has for it."""
    # As they were drawn: the next drawing may have other rows by the time that a click arrives.
    st.session_state[f"{key} rows"] = goes_to
    st.dataframe(
        frame,
        column_config=columns,
        hide_index=True,
        row_height=row_height,
        height=_height(len(frame), row_height),
        placeholder=UNKNOWN,
        key=key,
        on_select=partial(_clicked, key),
        selection_mode="single-row",  # with cells, a click on a heading would be one on the first row
    )


def _clicked(key: str) -> None:
    chosen = st.session_state[key]["selection"]["rows"]
    goes_to = st.session_state.get(f"{key} rows", [])
    if chosen and chosen[0] < len(goes_to):
        chord_ui.go(goes_to[chosen[0]])


def _health_column() -> Any:
    return st.column_config.MultiselectColumn(
        "Health", options=list(chord_ui.HEX), color=list(chord_ui.HEX.values()), width=80
    )


def _ago_column(label: str, **more: Any) -> Any:
    return st.column_config.DatetimeColumn(label, format="distance", width=105, **more)


def _moments(timestamps: Iterable[float | None]) -> Any:
    # By whole milliseconds: pandas 2 now and then fails to make times of floats among which some are missing.
    known = [_NO_TIME if moment is None else int(moment * 1000) for moment in timestamps]
    return pd.Series(np.array(known, dtype="int64").view("datetime64[ms]")).dt.tz_localize("UTC")


def _counted(row: ChordRow) -> str:
    return f"{row.counted:,} of {UNKNOWN if row.size is None else f'{row.size:,}'}"


def _share(row: ChordRow) -> float | None:
    # Whole percents, rounded down: 99,999 of 100,000 is not all.
    return min(100, row.counted * 100 // row.size) / 100 if row.size else None


def _names(names: Sequence[str], more: int) -> str:
    named = ", ".join(plain(name, _NAME_LENGTH) for name in names)
    return f"{named}, {more:,} more" if more else named


def _consumers(row: QueueRow) -> str:
    if row.consumers is None:
        return UNKNOWN
    return "0: nobody takes its tasks" if row.consumers == 0 and row.length else f"{row.consumers:,}"


def _height(rows: int, row_height: int) -> int:
    return row_height * max(1, min(rows, _TALLEST // row_height)) + _HEADER
