# ruff: noqa: INP001  # Streamlit puts this folder on sys.path, so these are modules and not a package
"""The Streamlit dashboard's entry: only the router. Start it with `streamlit run dashboards/app.py`.

Runs in Streamlit's process, once per interaction of every viewer; computes nothing itself.
`CHORDWATCH_APP` says which Celery app is watched (see `chord_source`).
Streamlit reads `.streamlit/config.toml` beside this file from any working directory, so that it binds to
127.0.0.1, sends no usage statistics and fetches nothing from the internet.
Options (`--server.address`, `--server.port`) and `STREAMLIT_SERVER_*` variables win over it.
"""

from __future__ import annotations

from pathlib import Path

import chord_links as links
import chord_password
import chord_ui
import streamlit as st

#: Pixels.
SIDEBAR_WIDTH = 220

# A file of our own: Streamlit fetches an icon given by name from Google, in the viewer's browser.
st.set_page_config(
    page_title="chordwatch",
    page_icon=Path(__file__).with_name("chordwatch.svg"),
    layout="wide",
    initial_sidebar_state=SIDEBAR_WIDTH,
)
page = st.navigation(
    [
        st.Page(links.OVERVIEW, title="Overview", icon=":material/monitoring:", default=True),
        st.Page(links.STUCK, title="Stuck chords", icon=":material/hourglass_disabled:"),
        st.Page(links.CHORD, title="Chord", icon=":material/account_tree:"),
        st.Page(links.QUEUES, title="Queues", icon=":material/stacks:"),
        st.Page(links.TRENDS, title="Trends", icon=":material/timeline:"),
        st.Page(links.DOCTOR, title="Doctor", icon=":material/stethoscope:"),
    ]
)
chord_password.ask()
chord_ui.sidebar()
page.run()
