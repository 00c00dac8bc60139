# ruff: noqa: INP001  # Streamlit puts this folder on sys.path, so these are modules and not a package
"""The axis of time that charts over a chosen range share. Draws nothing itself. Runs in Streamlit's process."""

from __future__ import annotations

import altair as alt

DAY = 86_400.0


def time_axis(field: str, since: float, until: float) -> alt.X:
    """Return an axis over the whole range (Unix seconds), also where little of it was recorded.

    `field` is temporal, as `at:T`.
    """
    # As an expression: Vega takes a plain number for a year.
    domain = alt.ExprRef(f"[{since * 1000:.0f}, {until * 1000:.0f}]")
    clock = "%H:%M" if until - since <= DAY else "%-d %b"
    axis = alt.Axis(format=clock, tickCount=6, labelOverlap=True)
    return alt.X(field, title=None, scale=alt.Scale(domain=domain), axis=axis)
