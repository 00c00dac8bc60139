# ruff: noqa: INP001  # Streamlit puts this folder on sys.path, so these are modules and not a package
"""The dashboard's pages, and ways to them: to the addresses that alerts and the webhook carry too.

Runs in Streamlit's process.
"""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

OVERVIEW = "app_pages/overview.py"
STUCK = "app_pages/stuck.py"
CHORD = "app_pages/chord.py"
QUEUES = "app_pages/queues.py"
TRENDS = "app_pages/trends.py"
DOCTOR = "app_pages/doctor.py"


def open_chord(chord_id: str) -> NoReturn:
    """Go to a chord's page, `/chord?id=…`. Any task id of the chord does as well."""
    st.switch_page(CHORD, query_params={"id": _encodable(chord_id)})


def open_stuck(**filters: str) -> NoReturn:
    """Go to the stuck chords, `/stuck?callback=…&cause=…`; the filters are callback, cause, queue, text, age and by."""
    st.switch_page(STUCK, query_params={name: _encodable(value) for name, value in filters.items()})


def _encodable(text: str) -> str:
    # A lone surrogate, which JSON can carry, has no place in an address.
    return text.encode("utf-8", "replace").decode("utf-8")
