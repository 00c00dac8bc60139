# ruff: noqa: INP001  # Streamlit puts this folder on sys.path, so these are modules and not a package
"""Drawing shared by the dashboard's pages: the cached source, the tables, the note and error boxes.

Runs in Streamlit's process. Foreign text is only ever given to tables and `st.text`, which parse nothing;
headings, labels and boxes, which are Markdown, get our own words and numbers alone.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import chord_source
import pandas as pd  # type: ignore[import-untyped, unused-ignore]  # comes with Streamlit, without types
import streamlit as st
from chord_rows import ChordRow, QueueRow

from chordwatch.errors import ChordwatchError, SettingError
from chordwatch.model import Outcome
from chordwatch.text import plain
from chordwatch.watch.words import SENTENCE_LENGTH, UNKNOWN, duration

#: Colour of each health, readable on light and on dark ground; its name always stands beside it.
COLOURS: dict[Outcome, str] = {
    "hung": "red",
    "looping": "violet",
    "failed": "orange",
    "late": "yellow",
    "waiting": "blue",
    "ok": "green",
}
#: The same in a table's cell: so much of the colour that the theme's text stays readable on it.
TINTS: dict[Outcome, str] = {
    "hung": "rgba(217, 74, 87, 0.35)",
    "looping": "rgba(155, 93, 229, 0.35)",
    "failed": "rgba(224, 104, 43, 0.35)",
    "late": "rgba(234, 179, 8, 0.30)",
    "waiting": "rgba(59, 130, 246, 0.22)",
    "ok": "rgba(7, 148, 100, 0.20)",
}
MEANINGS: dict[Outcome, str] = {
    "hung": "Will never finish by itself",
    "looping": "Runs again and again without progress",
    "failed": "Can only end in an error",
    "late": "Waits longer than it should",
    "waiting": "Waits for something that will come",
    "ok": "Makes progress",
}

#: Pixels. Streamlit wraps the text of cells above 64 only: three lines, enough to read a cause.
ROW_HEIGHT = 66
ROWS_ON_SCREEN = 10
HEADER_HEIGHT = 38


@st.cache_resource(show_spinner=False)
def shared_look() -> chord_source.SharedLook:
    """Return the one look of this process, which all viewers share."""
    return chord_source.SharedLook(chord_source.open_watch)


def show_error(error: ChordwatchError) -> None:
    """Say what is wrong and what to do, without a traceback."""
    title = (
        "The dashboard is not set up." if isinstance(error, SettingError) else "The chords cannot be read."
    )
    st.error(f"**{title}**", icon=":material/error:")
    st.text(plain(str(error), SENTENCE_LENGTH))
    # The sentence itself says what to do.
    if not isinstance(error, SettingError):
        st.caption("This page goes on trying every few seconds.")


def show_counts(counts: dict[Outcome, int]) -> None:
    """Draw how many open chords have each health, worst first; coloured only where there are any."""
    for column, (outcome, count) in zip(st.columns(len(counts)), counts.items(), strict=True):
        name = outcome.capitalize() if outcome != "ok" else "OK"
        label = f":{COLOURS[outcome]}[**{name}**]" if count else name
        column.metric(label, f"{count:,}", help=MEANINGS[outcome], border=True)


def show_chords(rows: tuple[ChordRow, ...]) -> None:
    """Draw the table of open chords. Sorting a column of times sorts by seconds, not by their words."""
    frame = pd.DataFrame([asdict(row) for row in rows])
    frame[["percent", "age", "idle"]] = frame[["percent", "age", "idle"]].astype("float64")
    st.dataframe(
        frame.style.format({"age": duration, "idle": duration}).map(_tint, subset=["health"]),
        column_config=_chord_columns(),
        hide_index=True,
        row_height=ROW_HEIGHT,
        height=ROW_HEIGHT * min(len(rows), ROWS_ON_SCREEN) + HEADER_HEIGHT,
        placeholder=UNKNOWN,
        key="open_chords",
    )


def show_queues(rows: tuple[QueueRow, ...]) -> None:
    """Draw the table of queues with their depth as bars."""
    longest = max((row.length for row in rows), default=0)
    st.dataframe(
        pd.DataFrame([asdict(row) for row in rows]),
        column_config={
            "name": st.column_config.TextColumn("Queue", width="medium"),
            "length": st.column_config.ProgressColumn(
                "Waiting",
                help="Tasks in the queue",
                format="localized",
                min_value=0,
                max_value=max(1, longest),
            ),
            "unacked": st.column_config.NumberColumn(
                "Unacked", help="Tasks delivered to a worker and not yet acknowledged", format="localized"
            ),
            "consumers": st.column_config.TextColumn(
                "Consumers", help="Workers that say they read the queue"
            ),
            "remark": st.column_config.TextColumn("", width="large"),
        },
        hide_index=True,
        key="queues",
    )


def show_notes(notes: tuple[str, ...]) -> None:
    """Say quietly what the look could not see."""
    if notes:
        with st.expander("What this look could not see", icon=":material/visibility_off:"):
            st.text("\n".join(notes))


def _tint(health: Outcome) -> str:
    return f"background-color: {TINTS[health]}" if health in TINTS else ""


def _chord_columns() -> dict[str, Any]:
    columns = st.column_config
    return {
        "health": columns.TextColumn("Health", width=85),
        "callback": columns.TextColumn("Callback", width=175),
        "progress": columns.TextColumn("Counted", help="Header tasks counted, k of N", width=105),
        "percent": columns.ProgressColumn("Progress", format="%d%%", min_value=0, max_value=100, width=115),
        "age": columns.NumberColumn("Age", help="Since the chord was opened", width=85),
        "idle": columns.NumberColumn("Idle", help="Since the last part was counted", width=85),
        "cause": columns.TextColumn("Cause", width=325),
        "waits_for": columns.TextColumn("Waits for", help="Where the missing tasks are", width=160),
        "chord_id": columns.TextColumn("Chord id", width=140),
    }
