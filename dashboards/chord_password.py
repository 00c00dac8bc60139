# ruff: noqa: INP001  # Streamlit puts this folder on sys.path, so these are modules and not a package
"""The dashboard's password, asked before any page reads or draws something. Without the setting nobody is asked.

Runs in Streamlit's process, in the threads of its viewers. One password for all and for as long as a tab is open; who
needs names and sign-on puts a proxy in front.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
import time

import chord_ui
import streamlit as st

from chordwatch.errors import ChordwatchError

#: Seconds after a wrong password in which this process tries no other one, whoever gives it.
DELAY = 1.0
#: Seconds that an attempt waits for its turn: guessing by many at once is no faster than by one.
PATIENCE = 10.0

# What a session remembers is worth nothing anywhere else, nor after the password has changed.
_SECRET = secrets.token_bytes(32)
_turn = threading.Lock()

logger = logging.getLogger(__name__)


def ask() -> None:
    """Return where no password is set or this viewer has given it; otherwise ask, and end the script here."""
    try:
        wanted = chord_ui.source().settings.dashboard_password
    except ChordwatchError:
        # Without settings nobody knows whether one is set.
        _wait_for_settings()
        st.stop()
    if wanted and not _is(st.session_state.get("let_in"), wanted):
        _form(wanted)
        st.stop()


@chord_ui.live()
def _wait_for_settings() -> None:
    chord_ui.source()
    st.rerun()


def _form(wanted: str) -> None:
    with st.form("let_in_form", width=420):
        given = st.text_input("Password of this dashboard", type="password", autocomplete="current-password")
        answered = st.form_submit_button("Open", type="primary")
    if not answered:
        return
    complaint = _complaint(given, wanted)
    if complaint:
        st.error(complaint, width=420)
        return
    st.session_state["let_in"] = _digest(given)
    st.rerun()


def _complaint(given: str, wanted: str) -> str | None:
    """Return why this password does not open, None where it does. Waits for its turn, and after a wrong one."""
    if not _turn.acquire(timeout=PATIENCE):
        return "Too many are trying at this moment. Try again later."
    try:
        if _is(_digest(given), wanted):
            return None
        logger.warning("Somebody gave a wrong password")
        time.sleep(DELAY)
        return "That is not the password."
    finally:
        _turn.release()


def _is(digest: object, wanted: str) -> bool:
    return isinstance(digest, bytes) and hmac.compare_digest(digest, _digest(wanted))


def _digest(text: str) -> bytes:
    return hmac.digest(_SECRET, text.encode("utf-8", "surrogatepass"), "sha256")
