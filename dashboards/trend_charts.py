# ruff: noqa: INP001  # Streamlit puts this folder on sys.path, so these are modules and not a package
"""The charts of the trends page, made by Altair, which comes with Streamlit. Draws nothing itself.

Callbacks' names are data of a chart, which shows them literally.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NamedTuple

import altair as alt
import pandas as pd  # type: ignore[import-untyped, unused-ignore]  # comes with Streamlit, without types
from time_axis import DAY, time_axis

from chordwatch.board.trends import Point, Total
from chordwatch.text import plain
from chordwatch.watch.words import span

#: Characters of a name, and pixels.
LONGEST, PLOT_HEIGHT, LEGEND_ROW, LABEL_WIDTH = 120, 260, 27, 400
#: Durations that lie so many times apart share no linear axis.
WIDE = 100


class Chart(NamedTuple):
    """One chart: its heading and explanation, the field of a point that it draws, and in which unit."""

    title: str
    help: str
    field: str
    unit: Literal["seconds", "share", "number"]


CHARTS = (
    Chart(
        "Mean duration",
        "From the first header task's message to the end of the callback, of chords that finished then.",
        "mean_duration",
        "seconds",
    ),
    Chart("95th percentile of duration", "Of 20 chords, 19 were faster.", "p95_duration", "seconds"),
    Chart(
        "Mean barrier",
        "From the first header task's message until the last part was counted.",
        "mean_barrier",
        "seconds",
    ),
    Chart(
        "Share of waiting for stragglers",
        "How much of the header's time passed after half of its tasks had finished, waiting for the last one.",
        "straggler_share",
        "share",
    ),
    Chart("Retries", "Of header tasks and callbacks.", "retries", "number"),
    Chart("Failed chords", "Chords that ended in an error.", "failed", "number"),
)


class UnitOfTime(NamedTuple):
    """An axis is in this unit when its longest value is at least `from_seconds`."""

    name: str
    seconds: float
    from_seconds: float


UNITS_OF_TIME = (
    UnitOfTime("hours", 3600, 7200),
    UnitOfTime("minutes", 60, 120),
    UnitOfTime("seconds", 1, 1),
    UnitOfTime("milliseconds", 0.001, 0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What all charts have in common: the chosen callbacks, and the range of time in Unix seconds."""

    callbacks: Sequence[str]
    since: float
    until: float


def frame_of(rows: Sequence[Point] | Sequence[Total], kind: type[Point | Total]) -> pd.DataFrame:
    """Return a table of points or totals: the callback's name fit to be shown, numbers as numbers, times in ms."""
    columns = [field.name for field in fields(kind)]
    # A name may hold what pandas cannot: it is made plain before it gets there.
    plainly = [asdict(row) | {"callback": plain(row.callback, LONGEST)} for row in rows]
    frame = pd.DataFrame(plainly, columns=columns)
    frame = frame.astype({name: "float64" for name in columns if name != "callback"})
    for time in ("since", "at"):
        if time in frame:
            frame[time] *= 1000  # the browser's unit; it shows them in the viewer's zone
    return frame


def chart_of(chart: Chart, points: pd.DataFrame, shown: Shown) -> alt.Chart | None:
    """Return lines of durations or shares, or bars of numbers as wide as the time they count; None without any."""
    told = points[points[chart.field].notna()].copy()
    if chart.unit == "number":
        told = told[told[chart.field] > 0]
    if told.empty:
        return None
    if chart.unit == "number":
        return _bars(chart, told, shown)
    if chart.unit == "share":
        axis, scale = alt.Axis(tickCount=5, format=".0%"), alt.Scale(domain=[0, 1])
        return _lines(
            chart, told, shown, alt.Y(f"{chart.field}:Q", title=None, axis=axis, scale=scale), _share
        )
    return _lines(chart, told, shown, _durations(told, chart.field), span)


def _durations(told: pd.DataFrame, field: str) -> alt.Y:
    """Return an axis of time in a fitting unit; where callbacks are of very different kinds, so that each is seen."""
    longest, shortest = told[field].max(), told[field].min()
    if 0 < shortest * WIDE < longest:
        told["value"] = told[field]
        return alt.Y(
            "value:Q",
            title="seconds, logarithmic",
            scale=alt.Scale(type="log"),
            axis=alt.Axis(tickCount=4, format=",~g"),
        )
    unit = next(unit for unit in UNITS_OF_TIME if longest >= unit.from_seconds)
    told["value"] = told[field] / unit.seconds
    return alt.Y("value:Q", title=unit.name, axis=alt.Axis(tickCount=5, format=",~r"))


def _lines(
    chart: Chart, told: pd.DataFrame, shown: Shown, y: alt.Y, words: Callable[[float], str]
) -> alt.Chart:
    # With points, as a callback may have run but once.
    marked = alt.Chart(_worded(told, chart, words)).mark_line(point=True, clip=True)
    return _dressed(marked, chart, shown, x=_times("at:T", shown), y=y)


def _bars(chart: Chart, told: pd.DataFrame, shown: Shown) -> alt.Chart:
    told = _worded(told, chart, "{:,.0f}".format)
    # Samples are not evenly spaced, so it is the bar's area that tells how many.
    name, seconds = ("minute", 60) if shown.until - shown.since < DAY else ("hour", 3600)
    rate = told[chart.field] * seconds * 1000 / (told["at"] - told["since"])
    # Vega-Lite does not stack bars that have two ends.
    told["top"] = rate.groupby([told["since"], told["at"]]).cumsum()
    told["bottom"] = told["top"] - rate
    y = alt.Y("top:Q", title=f"per {name}", axis=alt.Axis(tickCount=5, format=",~r"))
    ends = {"x": _times("since:T", shown), "x2": alt.X2("at:T")}
    return _dressed(alt.Chart(told).mark_rect(clip=True), chart, shown, **ends, y=y, y2=alt.Y2("bottom:Q"))


def _worded(told: pd.DataFrame, chart: Chart, words: Callable[[float], str]) -> pd.DataFrame:
    return told.assign(words=[words(value) for value in told[chart.field]])


def _share(value: float) -> str:
    return f"{value:.0%}"


def _times(field: str, shown: Shown) -> alt.X:
    return time_axis(field, shown.since, shown.until)


def _dressed(marked: alt.Chart, chart: Chart, shown: Shown, **places: Any) -> alt.Chart:
    """Return the chart with colours, legend and tooltips."""
    names = [plain(name, LONGEST) for name in shown.callbacks]
    legend = alt.Legend(
        title=None, orient="bottom", columns=1, labelLimit=LABEL_WIDTH, symbolSize=70, rowPadding=2, offset=6
    )
    dressed: alt.Chart = marked.encode(
        **places,
        color=alt.Color("callback:N", scale=alt.Scale(domain=names), legend=legend),
        tooltip=[
            alt.Tooltip("callback:N", title="Callback"),
            alt.Tooltip("since:T", title="From", format="%Y-%m-%d %H:%M"),
            alt.Tooltip("at:T", title="Until", format="%Y-%m-%d %H:%M"),
            alt.Tooltip("words:N", title=chart.title),
            alt.Tooltip("finished:Q", title="Chords that finished", format=","),
        ],
    ).properties(height=PLOT_HEIGHT + LEGEND_ROW * len(names))
    return dressed
