# ruff: noqa: INP001  # Streamlit executes pages by path, nobody imports them
"""The overview: is anything stuck, which chord, why, and what does it wait for; and how deep the queues are.

Executed by Streamlit's router. Draws what `chord_rows` computed and computes nothing itself.
"""

from __future__ import annotations

import chord_ui
import streamlit as st
from chord_rows import Overview, overview_of
from chord_source import INTERVAL

from chordwatch.errors import ChordwatchError


@st.fragment(run_every=INTERVAL)
def live() -> None:
    """Draw the latest look, again and again without the rest of the page."""
    with st.spinner("Looking at broker, result backend and workers …"):
        seen = chord_ui.shared_look().current().seen
    if isinstance(seen, ChordwatchError):
        chord_ui.show_error(seen)
        return
    overview = overview_of(seen, zone=st.context.timezone)
    st.subheader(f":red[{overview.headline}]" if overview.stuck else overview.headline, anchor=False)
    st.caption(overview.seen)
    show_chords(overview)
    show_queues(overview)
    chord_ui.show_notes(overview.notes)


def show_chords(overview: Overview) -> None:
    """Draw the counts and the table of open chords, or say how to get one."""
    if not overview.chords:
        st.info(
            "All chords have finished, or none was started. Start one with `chord(header)(callback)` "
            "in your code, or with `python -m tasks.run slow` in the demo.",
            icon=":material/info:",
        )
        return
    chord_ui.show_counts(overview.counts)
    chord_ui.show_chords(overview.chords)
    if overview.cut:
        st.caption(overview.cut)


def show_queues(overview: Overview) -> None:
    """Draw how deep the queues are."""
    st.subheader("Queues", anchor=False)
    if overview.queues:
        chord_ui.show_queues(overview.queues)
    else:
        st.caption("No queue was seen: no task waits, and no worker named a queue.")
    if overview.queues_cut:
        st.caption(overview.queues_cut)


live()
