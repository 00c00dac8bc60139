from __future__ import annotations

from typing import Any

import pytest

from chordwatch.board.trends import Point

pytest.importorskip("streamlit", reason="Streamlit is not installed: the extra `dashboard`")

from trend_charts import CHARTS, Shown, chart_of, frame_of  # after the skip

HOUR = 3600.0
BY_FIELD = {chart.field: chart for chart in CHARTS}


def point(callback: str = "a", at: float = 600.0, **changes: Any) -> Point:
    values: dict[str, Any] = {
        "since": at - 600.0,
        "finished": 4,
        "failed": 0,
        "retries": 0,
        "mean_duration": 4.0,
        "p95_duration": 9.0,
        "mean_barrier": 2.0,
        "straggler_share": 0.5,
    }
    return Point(**{**values, "callback": callback, "at": at, **changes})


def drawn(field: str, *points: Point, hours: float = 6) -> Any:
    shown = Shown(callbacks=["a", "b"], since=0.0, until=hours * HOUR)
    return chart_of(BY_FIELD[field], frame_of(points, Point), shown)


def test_times_are_in_milliseconds_over_the_whole_range() -> None:
    chart = drawn("mean_duration", point(at=600.0))

    assert chart.data["at"].tolist() == [600_000.0]
    assert chart.to_dict()["encoding"]["x"]["scale"]["domain"] == {"expr": "[0, 21600000]"}


@pytest.mark.parametrize(
    ("seconds", "unit", "value"),
    [
        (0.25, "milliseconds", 250.0),
        (90.0, "seconds", 90.0),
        (600.0, "minutes", 10.0),
        (9000.0, "hours", 2.5),
    ],
)
def test_an_axis_of_time_is_in_a_fitting_unit(seconds: float, unit: str, value: float) -> None:
    chart = drawn("mean_duration", point(mean_duration=seconds))

    assert chart.to_dict()["encoding"]["y"]["title"] == unit
    assert chart.data["value"].tolist() == [pytest.approx(value)]


def test_callbacks_of_very_different_kinds_are_all_seen() -> None:
    chart = drawn("mean_duration", point("a", mean_duration=0.1), point("b", mean_duration=900.0))

    axis = chart.to_dict()["encoding"]["y"]
    assert (axis["title"], axis["scale"]) == ("seconds, logarithmic", {"type": "log"})


def test_what_is_nothing_has_no_logarithm() -> None:
    chart = drawn("mean_duration", point("a", mean_duration=0.0), point("b", mean_duration=900.0))

    assert chart.to_dict()["encoding"]["y"]["title"] == "minutes"


def test_bars_are_stacked_and_as_high_as_what_they_count_is_frequent() -> None:
    chart = drawn(
        "failed",
        point("a", failed=20),
        point("b", failed=10),
        point("a", at=660.0, since=600.0, failed=2),
    )

    assert chart.data[["bottom", "top"]].values.tolist() == [[0.0, 2.0], [2.0, 3.0], [0.0, 2.0]]
    assert chart.to_dict()["encoding"]["y"]["title"] == "per minute"
    assert chart.data["words"].tolist() == ["20", "10", "2"]


def test_over_days_it_is_told_by_the_hour() -> None:
    chart = drawn("retries", point(retries=1), hours=48)

    assert chart.data["top"].tolist() == [6.0]
    assert chart.to_dict()["encoding"]["y"]["title"] == "per hour"


@pytest.mark.parametrize("field", BY_FIELD)
def test_what_nobody_knows_or_never_happened_has_no_chart(field: str) -> None:
    nothing = point(
        mean_duration=None, p95_duration=None, mean_barrier=None, straggler_share=None, failed=0, retries=0
    )

    assert drawn(field, nothing) is None


def test_tooltips_say_durations_and_shares_in_words() -> None:
    assert drawn("mean_duration", point(mean_duration=75.0)).data["words"].tolist() == ["1 min 15 s"]
    assert drawn("straggler_share", point()).data["words"].tolist() == ["50%"]
