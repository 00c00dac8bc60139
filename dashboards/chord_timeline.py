# ruff: noqa: INP001  # Streamlit puts this folder on sys.path, so these are modules and not a package
"""The timeline of one chord as a chart. Vega draws every text as it is. Runs in Streamlit's process."""

from __future__ import annotations

from typing import Any, get_args

import pandas as pd  # type: ignore[import-untyped, unused-ignore]  # comes with Streamlit, without types
import streamlit as st

from chordwatch.board.timeline import TITLE, Bar, Kind, Timeline
from chordwatch.watch.words import span

#: Of each kind of bar, readable on light and on dark ground.
COLOURS: dict[Kind, str] = {
    "header": "#8e6bd1",
    "waited": "#a9b1bc",
    "ran": "#2e9e62",
    "runs": "#3b82f6",
    "failed": "#e5484d",
    "lost with its worker": "#c2298a",
    "ran, to be retried": "#e0682b",
    "waited for a retry": "#eab308",
}
MARK = "#e5484d"
#: What a bar says when pointed at.
TOLD = ("kind", "task", "worker", "attempt", "state", "took")
#: Pixels: of a lane, of all that is seen without scrolling, of the axis and the legend.
LANE, SEEN, AROUND = 18, 560, 90
_MILLISECONDS = 1000.0
#: Seconds that are drawn with their parts, and from which on days matter.
SHORT, LONG = 20.0, 43_200.0


def show_timeline(timeline: Timeline) -> None:
    """Draw the timeline, in a part of the page that scrolls where it is long."""
    with st.container(height=SEEN if _height(timeline) > SEEN else "content", border=False):
        frame = pd.DataFrame([_row(bar) for bar in timeline.bars])
        st.vega_lite_chart(frame, spec_of(timeline), key="timeline")
    for sentence in (timeline.straggler, timeline.quiet, timeline.cut):
        if sentence:
            st.text(sentence)


def spec_of(timeline: Timeline) -> dict[str, Any]:
    """Return the chart in Vega-Lite: a bar for each wait and run, the straggler marked, a line where all were counted.

    Written out, because Altair takes longer to check it than the rest of the page to be drawn.
    """
    kinds = [kind for kind in get_args(Kind) if any(bar.kind == kind for bar in timeline.bars)]
    span_of_bar = {"x": {"field": "begin", "type": "temporal", "axis": _time_axis(timeline), "title": None}}
    span_of_bar |= {"x2": {"field": "end"}, "y": _lanes(timeline)}
    bars = {
        "mark": {"type": "bar", "cornerRadius": 2},
        "encoding": {
            **span_of_bar,
            "color": {
                "field": "kind",
                "type": "nominal",
                "title": None,
                "scale": {"domain": kinds, "range": [COLOURS[kind] for kind in kinds]},
                "legend": {"orient": "top", "symbolType": "square", "columns": 4},
            },
            "tooltip": [{"field": name, "type": "nominal"} for name in TOLD],
        },
    }
    return {"height": _height(timeline), "layer": [bars, *_straggler(span_of_bar), *_complete(timeline)]}


def _lanes(timeline: Timeline) -> dict[str, Any]:
    # Names of workers stand between the lanes of their tasks, and have no bars.
    is_worker = f"slice(datum.value, 0, {len(TITLE)}) == '{TITLE}'"
    weight = {"condition": {"test": is_worker, "value": "bold"}, "value": "normal"}
    return {
        "field": "lane",
        "type": "nominal",
        "sort": None,
        "title": None,
        "scale": {"domain": list(timeline.lanes), "paddingInner": 0.25},
        "axis": {"labelLimit": 260, "labelFontWeight": weight, "labelOverlap": False, "grid": False},
    }


def _time_axis(timeline: Timeline) -> dict[str, Any]:
    return {"orient": "top", "format": _format(timeline), "labelOverlap": True}


def _straggler(span_of_bar: dict[str, Any]) -> list[dict[str, Any]]:
    only = {"transform": [{"filter": "datum.last"}]}
    outline = {"type": "bar", "filled": False, "stroke": MARK, "strokeWidth": 2}
    words = {
        "type": "text",
        "text": "◀ straggler",
        "align": "left",
        "dx": 4,
        "color": MARK,
        "fontWeight": "bold",
    }
    at_end = {"x": {"field": "end", "type": "temporal"}, "y": span_of_bar["y"]}
    return [{**only, "mark": outline, "encoding": span_of_bar}, {**only, "mark": words, "encoding": at_end}]


def _complete(timeline: Timeline) -> list[dict[str, Any]]:
    if timeline.complete_at is None:
        return []
    rule = {"type": "rule", "color": COLOURS["header"], "strokeDash": [4, 3], "size": 2}
    rule["tooltip"] = "all parts are counted"
    at = {"values": [{"at": timeline.complete_at * _MILLISECONDS}]}
    return [{"data": at, "mark": rule, "encoding": {"x": {"field": "at", "type": "temporal"}}}]


def _height(timeline: Timeline) -> int:
    return LANE * len(timeline.lanes) + AROUND


def _format(timeline: Timeline) -> str:
    """Return how times are written, finely where little time is drawn."""
    seconds = max(bar.end for bar in timeline.bars) - min(bar.begin for bar in timeline.bars)
    if seconds < SHORT:
        return "%H:%M:%S.%L"
    return "%H:%M:%S" if seconds < LONG else "%m-%d %H:%M"


def _row(bar: Bar) -> dict[str, object]:
    return {
        "lane": bar.lane,
        "kind": bar.kind,
        "begin": bar.begin * _MILLISECONDS,
        "end": bar.end * _MILLISECONDS,
        "task": bar.task,
        "worker": bar.worker,
        "attempt": bar.attempt,
        "state": bar.state,
        "took": span(bar.seconds),
        "last": bar.last,
    }
