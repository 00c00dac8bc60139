# ruff: noqa: INP001  # Streamlit puts this folder on sys.path, so these are modules and not a package
"""The Streamlit dashboard's entry: only the router. Start it with `streamlit run dashboards/app.py`.

Runs in Streamlit's process, once per interaction of every viewer; draws nothing and computes nothing itself.
`CHORDWATCH_APP` says which Celery app is watched (see `chord_source`).
Streamlit reads `.streamlit/config.toml` beside this file from any working directory, so that it binds to
127.0.0.1, sends no usage statistics and fetches nothing from the internet.
Options (`--server.address`, `--server.port`) and `STREAMLIT_SERVER_*` variables win over it.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

# A file of our own: Streamlit fetches an icon given by name from Google, in the viewer's browser.
st.set_page_config(
    page_title="chordwatch", page_icon=Path(__file__).with_name("chordwatch.svg"), layout="wide"
)
st.navigation(
    [st.Page("app_pages/overview.py", title="Overview", icon=":material/monitoring:", default=True)]
).run()
