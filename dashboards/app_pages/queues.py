# ruff: noqa: INP001  # Streamlit executes pages by path, nobody imports them
"""The queues: how deep they are and were, who reads them, how old their oldest task is, and who waits on each."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import chord_tables as tables
import chord_ui
import pandas as pd  # type: ignore[import-untyped, unused-ignore]  # comes with Streamlit, without types
import streamlit as st
from time_axis import time_axis

from chordwatch.board.grouping import STUCK, by_queue
from chordwatch.board.recent import Depth, depths
from chordwatch.board.rows import Board
from chordwatch.text import plain

#: Seconds.
RANGES = {"1 h": 3600.0, "24 h": 86_400.0, "7 d": 604_800.0}
#: More lines than this cannot be told apart.
SHOWN_LINES, SHOWN_QUEUES = 10, 500
#: Characters of a name beside the chart.
NAME_LENGTH = 60


@chord_ui.live()
def show() -> None:
    """Draw the queues of the latest board, again and again without the rest of the page."""
    board = chord_ui.board()
    show_headline(board)
    show_table(board)
    show_waiting_chords(board)
    show_depths(board)
    chord_ui.freshness(board)
    chord_ui.notes(board)


def show_headline(board: Board) -> None:
    """Say whether tasks wait that nobody takes."""
    unread = sum(queue.consumers == 0 and queue.length > 0 for queue in board.queues)
    waiting = sum(queue.length for queue in board.queues)
    said = f"{waiting:,} task{' waits' if waiting == 1 else 's wait'}"
    if unread:
        said += f", :red[in {unread:,} queue{'' if unread == 1 else 's'} that no worker reads]"
    st.header(said if board.queues else "No queue was seen", anchor=False)


def show_table(board: Board) -> None:
    """Draw each queue, or say when one is seen."""
    if not board.queues:
        st.info(
            "A queue is seen when a task waits in it, or when a worker says that it reads it.",
            icon=":material/info:",
        )
        return
    tables.queue_table(board.queues[:SHOWN_QUEUES], key="all_queues")
    more = len(board.queues) - SHOWN_QUEUES
    st.caption(
        "Tick a row to see the stuck chords that wait on the queue."
        + (f" {more:,} shorter queues are not shown." if more > 0 else "")
    )


def show_waiting_chords(board: Board) -> None:
    """Draw which stuck chords wait on which queue."""
    groups = [group for group in by_queue(row for row in board.chords if row.health in STUCK) if group.name]
    if groups:
        st.subheader("Stuck chords by queue", anchor=False)
        tables.group_table(groups[:SHOWN_QUEUES], key="queues_by_queue", by="queue")


def show_depths(board: Board) -> None:
    """Draw the depth of the longest queues over time."""
    st.subheader("Depth over time", anchor=False)
    chosen = st.segmented_control(
        "Range", list(RANGES), default="1 h", key="queues_range", label_visibility="collapsed"
    )
    seconds = RANGES[chosen or "1 h"]
    samples = chord_ui.history(seconds)
    if not samples:
        st.caption("There is no history yet: a monitor writes it, once a minute.")
        return
    drawn = depths(samples, board, most=SHOWN_LINES)
    if drawn:
        chart = depth_chart(drawn, since=board.taken_at - seconds, until=board.taken_at)
        st.altair_chart(chart, key="queue_depths")
    else:
        st.caption("No queue was seen in this time.")


def depth_chart(drawn: Sequence[Depth], *, since: float, until: float) -> alt.Chart:
    """Return a line for each queue over the whole range (Unix seconds)."""
    frame = pd.DataFrame(
        {
            "at": pd.to_datetime([int(depth.at) for depth in drawn], unit="s", utc=True),
            "queue": [plain(depth.queue, NAME_LENGTH) for depth in drawn],
            "length": [depth.length for depth in drawn],
        }
    )
    # Where all are empty Vega would make an axis from 0 to 0, whose labels are NaN.
    tasks = alt.Scale(domain=[0, max(1, *(depth.length for depth in drawn))], nice=True)
    chart: alt.Chart = (
        alt.Chart(frame)
        .mark_line(interpolate="step-after", clip=True)
        .encode(
            x=time_axis("at:T", since, until),
            y=alt.Y(
                "length:Q", title="Tasks waiting", scale=tasks, axis=alt.Axis(tickMinStep=1, format="~s")
            ),
            color=alt.Color("queue:N", title="Queue", legend=alt.Legend(orient="bottom")),
            tooltip=[
                alt.Tooltip("queue:N", title="Queue"),
                alt.Tooltip("length:Q", title="Waiting", format=","),
                alt.Tooltip("at:T", title="At", format="%Y-%m-%d %H:%M:%S"),
            ],
        )
    )
    return chart


st.title("Queues", anchor=False)
show()
