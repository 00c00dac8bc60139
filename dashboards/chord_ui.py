# ruff: noqa: INP001  # Streamlit puts this folder on sys.path, so these are modules and not a package
"""Drawing shared by the dashboard's pages: the source, what is live, errors, times, colours, the sidebar.

Runs in Streamlit's process. Foreign text is only ever given to tables, `st.code` and `literal`, which parse nothing;
headings, labels and boxes, which are Markdown, get our own words and numbers alone.
"""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable
from datetime import datetime, timezone
from functools import wraps
from typing import ParamSpec
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import chord_source
import streamlit as st
from chord_links import open_chord, open_stuck

from chordwatch.board.rows import Board
from chordwatch.board.samples import Sample
from chordwatch.board.source import Source
from chordwatch.errors import ChordwatchError, SettingError
from chordwatch.model import Health
from chordwatch.text import plain
from chordwatch.watch.words import SENTENCE_LENGTH, duration

#: Seconds between two drawings of what is live.
REFRESH = 5.0
#: Characters of a remedy: commands in it are there to be copied whole.
REMEDY_LENGTH = 800
#: Colour of each health in Markdown, readable on light and on dark ground; its name always stands beside it.
COLOURS: dict[Health, str] = {
    "hung": "red",
    "looping": "violet",
    "failed": "orange",
    "late": "yellow",
    "waiting": "blue",
    "ok": "green",
    "done": "gray",
}
#: The same for charts and tables, in both themes; white text is readable on it.
HEX: dict[Health, str] = {
    "hung": "#dc2626",
    "looping": "#7c3aed",
    "failed": "#c2410c",
    "late": "#a16207",
    "waiting": "#2563eb",
    "ok": "#15803d",
    "done": "#64748b",
}
MEANINGS: dict[Health, str] = {
    "hung": "Will never finish by itself",
    "looping": "Runs again and again without progress",
    "failed": "Can only end in an error",
    "late": "Waits longer than it should",
    "waiting": "Waits for something that will come",
    "ok": "Makes progress",
    "done": "Has finished",
}

#: Tables want the room that Streamlit leaves empty around a page.
_DENSE = "<style>.stMainBlockContainer { padding: 3.5rem 2rem 4rem }</style>"

_Parameters = ParamSpec("_Parameters")


@st.cache_resource(show_spinner=False)
def source() -> Source:
    """Return the one source of this process, which all viewers share.

    Raises:
        ChordwatchError: No app is named, or it cannot be read.
    """
    opened = chord_source.open_source()
    # Streamlit collects garbage after each run of a script. What was imported by now never is, and to look through it
    # each time takes longer than to draw a page.
    gc.freeze()
    return opened


def board() -> Board:
    """Return the latest board; while the viewer has paused, the one that they saw last.

    Raises:
        ChordwatchError: Nothing can be seen; the message says why and what to do.
    """
    seen: Board | None = st.session_state.get("board")
    if seen and paused():
        return seen
    with st.spinner("Looking at store, broker, result backend and workers …"):
        latest = source().board()
    if isinstance(latest, ChordwatchError):
        raise latest
    st.session_state["board"] = latest
    return latest


def live(
    interval: float = REFRESH,
) -> Callable[[Callable[_Parameters, None]], Callable[_Parameters, None]]:
    """Make a function a part of the page that is drawn again every `interval` seconds, unless the viewer paused.

    A ChordwatchError is told in its place, and the part goes on trying.
    """

    def decorated(draw: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
        @wraps(draw)
        def part(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
            try:
                _leave()
                draw(*args, **kwargs)
            except ChordwatchError as error:
                show_error(error)

        return st.fragment(part, run_every=None if paused() else interval)

    return decorated


def paused() -> bool:
    """Whether this viewer has stopped what is live."""
    return bool(st.session_state.get("paused"))


def sidebar() -> None:
    """Draw what stands beside every page: the search for a chord, and the pause button. To be called by the router."""
    st.html(_DENSE)
    with st.sidebar:
        st.text_input(
            "Find a chord",
            key="search",
            placeholder="chord or task id",
            on_change=_search,
            icon=":material/search:",
            max_chars=300,
        )
        st.toggle("Pause", key="paused", help="Keeps what you see until you switch it off again.")
    _leave()


def go(target: dict[str, str]) -> None:
    """Go to a chord (`{"chord": id}`) or to stuck chords with these filters, as soon as this callback has returned."""
    # A page can be switched while the script runs, not in a callback.
    st.session_state["goes to"] = target


def show_error(error: ChordwatchError, *, retrying: bool = True) -> None:
    """Say what is wrong and what to do, without a traceback, and that what is live is `retrying`."""
    title = (
        "The dashboard is not set up." if isinstance(error, SettingError) else "The chords cannot be read."
    )
    st.error(f"**{title}**", icon=":material/error:")
    literal(str(error))
    # The sentence itself says what to do.
    if retrying and not isinstance(error, SettingError):
        st.caption("This page goes on trying every few seconds.")


def literal(text: str, limit: int = SENTENCE_LENGTH) -> None:
    """Draw foreign text as it is, on one line of at most `limit` characters; the browser may wrap it."""
    st.text(plain(text, limit))


def app_name() -> str:
    """Return what the viewer gives to `celery -A`, to be shown in commands, which are Markdown."""
    named = os.environ.get(chord_source.APP_VARIABLE, "")
    return named if re.fullmatch(r"[A-Za-z0-9_.:]+", named) else "proj"


def freshness(seen: Board) -> None:
    """Say when and by whom the board was made; where no monitor runs, or nothing is instrumented, what to do."""
    by = "the monitor" if seen.looker == "monitor" else "this dashboard itself"
    st.caption(f"Seen at {clock(seen.taken_at)} by {by}{' · paused' if paused() else ''}")
    if seen.looker == "dashboard":
        st.info(
            "**No monitor is running**, so this dashboard looks by itself, only while somebody watches, and there is "
            f"no history. Start one: `celery -A {app_name()} chords monitor`",
            icon=":material/visibility:",
        )
    if not seen.instrumented:
        st.info(
            "**Nothing is instrumented yet**: what the workers do is guessed from broker and result backend. "
            "Add `chordwatch.instrument(app)` where your Celery app is made, and restart the workers.",
            icon=":material/sensors_off:",
        )


def notes(seen: Board) -> None:
    """Say quietly what could not be seen."""
    cut = (
        ["This look ended on its time budget: there may be chords that it has not seen."]
        if seen.partial
        else []
    )
    unread = [f"{seen.beyond:,} more open chords were too many to be read."] if seen.beyond else []
    if told := [*cut, *unread, *seen.notes]:
        with st.expander("What could not be seen", icon=":material/visibility_off:"):
            st.text("\n".join(plain(note, SENTENCE_LENGTH) for note in told))


def history(seconds: float) -> tuple[Sample, ...]:
    """Return the samples of the last `seconds`, oldest first; none where no monitor ran or no store answers."""
    try:
        return source().history(seconds)
    except ChordwatchError:
        return ()  # a trend is missing then, and what is seen now is not


def health_badge(health: Health) -> str:
    """Return a health as Markdown in its colour."""
    return f":{COLOURS[health]}-badge[{health}]"


def clock(timestamp: float) -> str:
    """Return the time of day in the viewer's zone; in UTC, and saying so, where that is not known."""
    return _moment(timestamp, "%H:%M:%S")


def date_and_time(timestamp: float) -> str:
    """Return date and time of day, as `clock`."""
    return _moment(timestamp, "%Y-%m-%d %H:%M:%S")


def ago(timestamp: float | None, now: float) -> str:
    """Return how long ago something was: `3 min 5 s ago`, `?` where nobody knows."""
    # Clocks differ between machines; nothing has begun in the future.
    return "?" if timestamp is None else f"{duration(max(0.0, now - timestamp))} ago"


def _moment(timestamp: float, how: str) -> str:
    known = _zone(st.context.timezone or "")
    moment = datetime.fromtimestamp(timestamp, known or timezone.utc)
    return moment.strftime(how) if known else f"{moment.strftime(how)} UTC"


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _search() -> None:
    if wanted := st.session_state["search"].strip():
        go({"chord": wanted})
    st.session_state["search"] = ""


def _leave() -> None:
    """Go to where a click leads, if there was one."""
    target: dict[str, str] | None = st.session_state.pop("goes to", None)
    if target and "chord" in target:
        open_chord(target["chord"])
    if target:
        open_stuck(**target)
