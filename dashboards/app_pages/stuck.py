# ruff: noqa: INP001  # Streamlit executes pages by path, nobody imports them
"""The stuck chords: those that are not well, filtered, sorted, or grouped by cause or queue.

What is asked for stands in the address, so that it can be shared, and alerts lead here:
`/stuck?callback=…&cause=…&queue=…&text=…&age=SECONDS&by=cause`.
"""

from __future__ import annotations

from collections.abc import Iterable

import chord_links as links
import chord_tables as tables
import chord_ui
import streamlit as st

from chordwatch.board.grouping import WELL, Filter, by_cause, by_queue, label, troubled
from chordwatch.board.rows import Board, ChordRow
from chordwatch.errors import ChordwatchError
from chordwatch.model import OUTCOMES
from chordwatch.store.labels import OTHER
from chordwatch.text import plain

#: More than a person reads; a filter leads to the others.
SHOWN = 1000
#: Characters of a filter that are taken from an address.
FILTER_LENGTH, AGE_DIGITS = 300, 9
#: Filters as the address names them; widgets have them as `stuck <name>`.
FILTERS = ("callback", "cause", "queue", "text", "age", "by")
#: Pixels of a filter.
WIDTH = 190
AGES = {"": "Any age", "60": "Over 1 min", "300": "Over 5 min", "3600": "Over 1 h", "86400": "Over 1 day"}
GROUPINGS = {"": "Each chord", "cause": "By cause", "queue": "By queue"}


def ask() -> dict[str, str]:
    """Draw the filters as the address has them, and write what is chosen into the address; return that."""
    opened = take_from_address()
    rows = known_rows()
    with st.container(horizontal=True, gap="small"):
        choose("callback", "Callback", "All callbacks", (label(row.callback) for row in rows))
        choose("cause", "Cause", "All causes", (label(row.cause) for row in rows if row.cause))
        choose("queue", "Waits on queue", "All queues", (label(name) for row in rows for name in row.queues))
        st.selectbox("Age", offered("age", AGES), key="stuck age", format_func=said_age, width=140)
        st.text_input(
            "Text", key="stuck text", placeholder="in what is shown", max_chars=FILTER_LENGTH, width=WIDTH
        )
    st.segmented_control(
        "Group",
        list(GROUPINGS),
        key="stuck by",
        format_func=GROUPINGS.__getitem__,
        label_visibility="collapsed",
    )
    if st.session_state["stuck nonsense"]:
        st.caption("The address asked for an age or a grouping that does not exist; that was left out.")
    asked = {name: value for name in FILTERS if (value := st.session_state[f"stuck {name}"])}
    # A link from this page to itself leaves the browser with the address that it had, so it is always told.
    if opened or st.query_params.to_dict() != asked:
        st.query_params.from_dict(asked)
    st.session_state["stuck address"] = asked
    return asked


def take_from_address() -> bool:
    """Set the filters to what the address says, whenever it is not what this page wrote there; return whether."""
    address = {name: value[:FILTER_LENGTH] for name in FILTERS if (value := st.query_params.get(name, ""))}
    written: dict[str, str] = st.session_state.get("stuck address", {})
    if "id" in st.query_params:
        # Back from a chord: on its way there Streamlit wrote the chord's id into the address of this page.
        address = written
    elif address == written and "stuck text" in st.session_state:
        return False
    known = {
        name: value
        for name, value in address.items()
        if (name != "by" or value in GROUPINGS) and (name != "age" or seconds(value))
    }
    st.session_state["stuck nonsense"] = known != address
    for name in FILTERS:
        st.session_state[f"stuck {name}"] = known.get(name, "")
    return True


def known_rows() -> tuple[ChordRow, ...]:
    """Return the chords whose names the filters offer; none where nothing can be seen, which is said below."""
    try:
        return troubled(chord_ui.board().chords, Filter(), 0)
    except ChordwatchError:
        return ()


def choose(name: str, heading: str, everything: str, known: Iterable[str]) -> None:
    """Draw a choice among names, which a list of choices shows literally."""
    st.selectbox(
        heading,
        offered(name, ["", *sorted(set(known))]),
        key=f"stuck {name}",
        format_func=lambda name: plain(name) if name else everything,
        width=WIDTH,
    )


def offered(name: str, known: Iterable[str]) -> list[str]:
    """Return the choices, with the one that the address asks for."""
    return list(dict.fromkeys([*known, st.session_state[f"stuck {name}"]]))


def seconds(age: str) -> float:
    """Return the seconds that an address says, 0 for none and for nonsense."""
    return float(age) if age.isascii() and age.isdecimal() and len(age) <= AGE_DIGITS else 0.0


def said_age(age: str) -> str:
    """Return an age in words."""
    return AGES.get(age) or f"Over {int(age):,} s"


@chord_ui.live()
def show(asked: dict[str, str]) -> None:
    """Draw the chords that are asked for, again and again without the filters."""
    board = chord_ui.board()
    unbounded = asked.get("callback") == OTHER
    wanted = Filter(
        callback="" if unbounded else asked.get("callback", ""),
        cause=asked.get("cause", ""),
        queue=asked.get("queue", ""),
        text=asked.get("text", ""),
        age=seconds(asked.get("age", "")),
    )
    rows = troubled(board.chords, wanted, board.taken_at)
    show_headline(board, rows, filtered=wanted != Filter())
    if unbounded:
        st.caption(
            "Alerts call the callbacks that are too many to be counted one by one `other`: all are shown."
        )
    if not rows:
        show_nothing(board, filtered=wanted != Filter())
    elif by := asked.get("by"):
        groups = by_cause(rows) if by == "cause" else by_queue(rows)
        within = {name: value for name, value in asked.items() if name != "by"}
        tables.group_table(groups[:SHOWN], key=f"stuck_by_{by}", by=by, within=within)
        st.caption("Tick a row to see its chords.")
    else:
        tables.chord_table(rows[:SHOWN], key="stuck_chords")
        st.caption("Tick a row to open the chord; a click on a heading sorts." + cut(board, rows))
    chord_ui.freshness(board)
    chord_ui.notes(board)


def show_headline(board: Board, rows: tuple[ChordRow, ...], *, filtered: bool) -> None:
    """Say how many chords are not well, and how many of them are asked for."""
    trouble = [row.health for row in rows]
    counted = [(health, trouble.count(health)) for health in OUTCOMES if health in trouble]
    said = " · ".join(f":{chord_ui.COLOURS[health]}[{count:,} {health}]" for health, count in counted)
    st.header(said or ("None match" if filtered else "No chord is stuck"), anchor=False)
    total = sum(count for health, count in board.counts.items() if health not in WELL)
    if filtered:
        st.caption(f"{len(rows):,} match, of {total:,} open chords that are not well.")


def show_nothing(board: Board, *, filtered: bool) -> None:
    """Say what an empty page means, and lead back."""
    if filtered:
        st.info(
            "No open chord matches these filters. What an alert told of may have ended since: "
            "the search at the side finds an ended chord by its id, and Trends tell what ended.",
            icon=":material/filter_alt_off:",
        )
        st.page_link(links.STUCK, label="Show all that are not well", icon=":material/arrow_back:")
        return
    open_chords = sum(board.counts.values())
    st.success(
        f"Every open chord ({open_chords:,}) makes progress or waits for something that will come."
        if open_chords
        else "There are no open chords.",
        icon=":material/check_circle:",
    )
    st.page_link(links.OVERVIEW, label="Overview", icon=":material/arrow_back:")


def cut(board: Board, rows: tuple[ChordRow, ...]) -> str:
    """Return a sentence about the chords without a row."""
    unread = sum(count for health, count in board.counts.items() if health not in WELL)
    listed = sum(row.health not in WELL for row in board.chords)
    beyond = f" {unread - listed:,} more were too many to be listed." if unread > listed else ""
    if len(rows) <= SHOWN:
        return beyond
    return f" These are the worst {SHOWN:,} of {len(rows):,}: filters lead to the others.{beyond}"


st.title("Stuck chords", anchor=False)
show(ask())
