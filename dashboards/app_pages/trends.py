# ruff: noqa: INP001  # Streamlit executes pages by path, nobody imports them
"""Trends: how long the chords of each callback took, what they waited for, and what failed, over a chosen range.

Executed by Streamlit's router. `/trends?callback=…&range=…` chooses; what is chosen goes into the address.
"""

from __future__ import annotations

import chord_ui
import streamlit as st
from trend_charts import CHARTS, LONGEST, Shown, chart_of, frame_of

from chordwatch.board.rows import Board
from chordwatch.board.trends import Point, Total, Trends, trends_of
from chordwatch.text import plain
from chordwatch.watch.words import UNKNOWN, span

HOUR, DAY = 3600.0, 86_400.0
RANGES = {"1h": HOUR, "6h": 6 * HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
WORDS = {"1h": "hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days", "30d": "30 days"}
DEFAULT = "6h"
#: Seconds. Samples come once a minute.
REFRESH = 30.0
#: So many callbacks are drawn unless the viewer chooses, and at most: more colours cannot be told apart.
BUSIEST, MOST = 5, 10
#: Pixels: two charts beside each other on a laptop, one on half of its screen.
CHART_WIDTH = 480

TOTALS = {
    "callback": st.column_config.TextColumn("Callback", width="medium"),
    "started": st.column_config.NumberColumn("Started", format="localized"),
    "finished": st.column_config.NumberColumn("Finished", format="localized", help="Failed ones included"),
    "failed": st.column_config.NumberColumn("Failed", format="localized"),
    "retries": st.column_config.NumberColumn("Retries", format="localized"),
    "mean_duration": st.column_config.NumberColumn("Mean duration"),
    "p95_duration": st.column_config.NumberColumn("95th percentile"),
    "mean_barrier": st.column_config.NumberColumn("Mean barrier"),
    "straggler_share": st.column_config.NumberColumn("Stragglers"),
}


def page() -> None:
    """Draw the choice of a range, and what is live below it."""
    st.title("Trends", anchor=False)
    take_from_address()
    show(chosen_range())


def take_from_address() -> None:
    """Choose what the address says, when it is not as this page left it: opened, or gone back to."""
    if "trends_range" in st.session_state and st.session_state.get("trends_address") == address():
        return
    asked, callbacks = st.session_state["trends_address"] = address()
    st.session_state["trends_range"] = asked if asked in RANGES else DEFAULT
    st.session_state.pop("trends_callbacks", None)
    if callbacks:
        st.session_state["trends_callbacks"] = list(dict.fromkeys(callbacks))[:MOST]


def address() -> tuple[str, tuple[str, ...]]:
    """Return range and callbacks as the address has them."""
    return st.query_params.get("range", DEFAULT), tuple(st.query_params.get_all("callback"))


def chosen_range() -> str:
    """Return the range that was clicked, before that the one of the address."""
    chosen = st.segmented_control(
        "Range", list(RANGES), key="trends_range", label_visibility="collapsed", on_change=remember
    )
    if address()[0] not in RANGES:
        st.caption("The address asks for a range that does not exist; choose one of these.")
    return chosen or DEFAULT


@chord_ui.live(REFRESH)
def show(chosen: str) -> None:
    """Draw the trends of a range, or say why there are none."""
    seen = chord_ui.board()
    chord_ui.freshness(seen)
    trends = trends_of(chord_ui.source().history(RANGES[chosen]))
    if trends.samples < 2:  # noqa: PLR2004  # something happens between two
        say_no_history(seen)
    elif not trends.totals:
        say_nothing_happened(chosen)
    else:
        callbacks = chosen_callbacks([total.callback for total in trends.totals])
        since = seen.taken_at - RANGES[chosen]
        show_charts(trends, Shown(callbacks=callbacks, since=since, until=seen.taken_at))
        show_totals(trends)


def chosen_callbacks(known: list[str]) -> list[str]:
    """Return the callbacks that were chosen, before that those of the address, else the busiest of `known`."""
    if "trends_callbacks" not in st.session_state:
        st.session_state["trends_callbacks"] = known[:BUSIEST]
    # Also one of which nothing is known in this range: something may be in another.
    options = list(dict.fromkeys([*known, *st.session_state["trends_callbacks"]]))
    return st.multiselect(
        "Callbacks",
        options,
        key="trends_callbacks",
        format_func=lambda name: plain(name, LONGEST),
        max_selections=MOST,
        placeholder="Choose callbacks, the busiest first",
        on_change=remember,
    )


def remember() -> None:
    """Keep in the address what the viewer has chosen, so that it can be shared."""
    st.query_params["range"] = st.session_state.get("trends_range") or DEFAULT
    # A lone surrogate has no place in an address.
    callbacks = st.session_state.get("trends_callbacks", [])
    st.query_params["callback"] = [name.encode("utf-8", "replace").decode() for name in callbacks]
    st.session_state["trends_address"] = address()


def show_charts(trends: Trends, shown: Shown) -> None:
    """Draw one chart for each question, beside each other where there is room."""
    points = [point for point in trends.points if point.callback in shown.callbacks]
    if not shown.callbacks:
        st.info("Choose one or more callbacks above.", icon=":material/info:")
    elif not points:
        st.info("No chord of these callbacks started or ended in this range.", icon=":material/info:")
    else:
        frame = frame_of(points, Point)
        with st.container(horizontal=True, gap="small"):
            for chart in CHARTS:
                with st.container(width=CHART_WIDTH):
                    st.markdown(f"**{chart.title}**", help=chart.help)
                    drawn = chart_of(chart, frame, shown)
                    if drawn is None:
                        st.caption("None in this range.")
                    else:
                        st.altair_chart(drawn, key=f"trends_{chart.field}")


def show_totals(trends: Trends) -> None:
    """Draw the table of all callbacks of which something happened in the range."""
    st.subheader("In this range", anchor=False)
    durations = ("mean_duration", "p95_duration", "mean_barrier")
    words = {**dict.fromkeys(durations, span), "straggler_share": "{:.0%}"}
    st.dataframe(
        frame_of(trends.totals, Total).style.format(words, na_rep=UNKNOWN),
        column_config=TOTALS,
        hide_index=True,
        placeholder=UNKNOWN,
        key="trends_totals",
    )


def say_no_history(seen: Board) -> None:
    """Say when there will be a history, where nothing else says it."""
    if seen.looker == "monitor":
        st.info(
            "There is no history yet: the first points appear two minutes after the monitor was started.",
            icon=":material/hourglass_top:",
        )


def say_nothing_happened(chosen: str) -> None:
    """Say that the range is empty."""
    longer = "" if chosen == "30d" else " Choose a longer range above."
    st.info(f"No chord started or ended in the last {WORDS[chosen]}.{longer}", icon=":material/info:")


page()
