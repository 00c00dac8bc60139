# ruff: noqa: INP001  # Streamlit executes pages by path, nobody imports them
"""One chord completely: why it is as it is, what it is made of, and when what happened. `/chord?id=…`.

The id may be the group's, the callback's or any header task's; the address is rewritten to the group's.
Draws what `chordwatch.board.chord_page` computed. Foreign text is only given to what parses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import chord_links as links
import chord_tables as tables
import chord_ui
import streamlit as st
from chord_header import ROWS, show_errors, show_tasks
from chord_timeline import show_timeline

from chordwatch.board.chord_page import ChordPage
from chordwatch.board.links import cause_url
from chordwatch.diagnosis.causes import CAUSES
from chordwatch.errors import ChordwatchError
from chordwatch.model import Verdict
from chordwatch.text import plain
from chordwatch.watch.words import duration, span

#: Characters of an id that are shown.
ID_LENGTH = 120
#: Seconds between two drawings of a chord that has finished or is large.
SELDOM = 30.0
#: A verdict's sentences name tasks and queues; they end somewhere.
VERDICT_LENGTH = 1000


def wanted_id() -> str:
    """Return the id that the address asks for."""
    return st.query_params.get("id", "").strip()


def show_nothing_asked() -> None:
    """Say how to get to a chord."""
    st.info("Choose a chord on the overview, or search for one by its id or the id of any of its tasks.")
    show_way_back()


def show_unknown(wanted: str) -> None:
    """Say that no chord is found, and why that may be."""
    st.warning("No chord is found under this id.", icon=":material/search_off:")
    chord_ui.literal(wanted, ID_LENGTH)
    st.caption(
        "It may be no chord's id, or a chord of another broker or result backend; or the chord finished longer ago "
        "than chords are kept (`finished_retention`)."
    )
    show_way_back()


def show_way_back() -> None:
    """Draw links to where chords are listed."""
    st.page_link(links.OVERVIEW, label="Overview", icon=":material/monitoring:")
    st.page_link(links.STUCK, label="Stuck chords", icon=":material/hourglass_disabled:")


def show(wanted: str) -> None:
    """Draw the chord, again and again."""
    explained = "explain" in st.session_state
    page = latest(wanted)
    if page is None:
        show_unknown(wanted)
        return
    keep_address(page.chord.chord_id)
    show_head(page)
    show_verdicts(page, explained=explained)
    show_graph(page)
    show_times(page)
    show_tasks(page)
    show_errors(page)
    show_related(page)
    show_report(page)


def keep_address(chord_id: str) -> None:
    """Make the address that of the chord, whichever of its ids led here; an id that no address can hold stays out."""
    if st.query_params.get("id") != chord_id and plain(chord_id, ID_LENGTH) == chord_id:
        st.query_params["id"] = chord_id


def latest(wanted: str) -> ChordPage | None:
    """Return the chord as it is now; while the viewer has paused, as they saw it last."""
    if (chord_id := st.session_state.pop("explain", None)) is not None:
        with st.spinner("Looking two or three times …"):
            return remembered(wanted, chord_ui.source().explain(chord_id))
    seen_id, seen = st.session_state.get("chord", ("", None))
    page: ChordPage | None = seen
    if page and chord_ui.paused() and wanted in (seen_id, page.chord.chord_id):
        return page
    with st.spinner("Looking at the chord …"):
        return remembered(wanted, chord_ui.source().chord(wanted))


def remembered(wanted: str, page: ChordPage | None) -> ChordPage | None:
    """Keep what this viewer sees."""
    st.session_state["chord"] = (wanted, page)
    return page


def ask_anew(chord_id: str) -> None:
    """Let the next drawing begin with a fresh diagnosis."""
    st.session_state["explain"] = chord_id


def show_head(page: ChordPage) -> None:
    """Draw what the chord is, how it is, how far and how old."""
    chord = page.chord
    chord_ui.literal(page.callback)
    st.subheader(health_words(page), anchor=False, help=chord_ui.MEANINGS[chord.health])
    with st.container(horizontal=True, gap="large"):
        counted = "Parts of the header that Celery has counted, k of N"
        st.metric("Counted", page.progress, help=counted, width="content")
        if page.age is not None:
            st.metric("Took" if page.finished else "Age", span(page.age), width="content")
        if page.idle is not None and chord.state == "open":
            st.metric("Idle", duration(page.idle), help="Since the last progress", width="content")
    if chord.size:
        st.progress(min(1.0, chord.counted / chord.size))
    st.caption(" · ".join(said_times(page)))
    if page.waits_for:
        chord_ui.literal(f"Waits for: {page.waits_for}")
    show_elsewhere(page)


def health_words(page: ChordPage) -> str:
    """Return the headline: the health in its colour."""
    health = page.chord.health
    if page.chord.state == "planned" and health == "ok":
        return "Not sent yet"
    return f":{chord_ui.COLOURS[health]}[{'OK' if health == 'ok' else health.capitalize()}]"


def said_times(page: ChordPage) -> Iterator[str]:
    """Yield how the callback is, when the chord was opened and finished, and when it was looked at."""
    chord = page.chord
    yield f"callback {page.callback_state}"
    for what, at in (("opened", chord.opened_at), ("finished", chord.finished_at)):
        if at is not None:
            yield f"{what} {chord_ui.date_and_time(at)}"
    if chord.evidence_expires_at is not None and not page.finished:
        yield f"Celery's own evidence expires {chord_ui.date_and_time(chord.evidence_expires_at)}"
    yield f"seen at {chord_ui.clock(page.now)}"


def show_elsewhere(page: ChordPage) -> None:
    """Draw links to the other tools that know of this chord."""
    found = [
        (title, url, icon)
        for title, url, icon in (
            ("Callback in Flower", page.links.callback, ":material/local_florist:"),
            ("Trace", page.links.trace, ":material/timeline:"),
            ("Charts in Grafana", page.links.charts, ":material/monitoring:"),
        )
        if url
    ]
    if found:
        with st.container(horizontal=True):
            for title, url, icon in found:
                st.link_button(title, url, icon=icon)


def show_verdicts(page: ChordPage, *, explained: bool) -> None:
    """Draw why the chord is as it is, the root cause first, and the button that asks again."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.subheader("Why", anchor=False, width="content")
        if not page.finished:
            st.button(
                "Explain now",
                icon=":material/troubleshoot:",
                help="Looks two or three times, which takes some seconds",
                on_click=ask_anew,
                args=(page.chord.chord_id,),
            )
    if explained:
        st.caption(f"Diagnosed anew at {chord_ui.clock(page.now)}.")
    if not page.chord.verdicts:
        st.caption(without_verdict(page))
    for number, verdict in enumerate(page.chord.verdicts):
        with st.container(border=True):
            show_verdict(verdict, page.now, first=number == 0)
    if page.notes:
        with st.expander("What this look could not see", icon=":material/visibility_off:"):
            st.text("\n".join(plain(note, VERDICT_LENGTH) for note in page.notes))


def without_verdict(page: ChordPage) -> str:
    """Return what is said of a chord that has no verdict."""
    if page.chord.state == "planned":
        return "It is not sent yet. What holds the tasks before it stands with those."
    return "It has finished, and nothing was wrong." if page.finished else "Nothing is known to be wrong."


def show_verdict(verdict: Verdict, now: float, *, first: bool) -> None:
    """Draw one cause with what it was decided from and what to do."""
    known = verdict.cause in CAUSES
    certainty = "" if verdict.certain else " · not certain"
    named = f"**{verdict.cause.replace('_', ' ')}**" if known else ""
    st.markdown(f"{chord_ui.health_badge(verdict.outcome)} {named}{certainty}")
    chord_ui.literal(verdict.summary, VERDICT_LENGTH)
    said = [("What to do", verdict.remedy), ("Open question", verdict.question or "")]
    for title, text in said:
        if text:
            st.caption(title)
            chord_ui.literal(text, VERDICT_LENGTH)
    times = [
        f"since {chord_ui.date_and_time(verdict.since)} ({chord_ui.ago(verdict.since, now)})"
        if verdict.since
        else "",
        f"recovers at {chord_ui.date_and_time(verdict.recovers_at)}" if verdict.recovers_at else "",
    ]
    if any(times):
        st.caption(" · ".join(filter(None, times)))
    if verdict.evidence:
        with st.expander("Evidence", expanded=first, icon=":material/fact_check:"):
            st.text("\n".join(plain(line, VERDICT_LENGTH) for line in verdict.evidence))
    if known:
        st.link_button("About this cause", cause_url(verdict), icon=":material/menu_book:")


def show_graph(page: ChordPage) -> None:
    """Draw what the chord is made of and what is around it."""
    st.subheader("Graph", anchor=False)
    expanded = bool(page.expanded) and st.toggle("Show the chords inside in full", key="expanded")
    st.graphviz_chart(
        page.expanded if expanded else page.graph,
        alt=f"Header, barrier and callback: {page.progress} counted",
    )


def show_times(page: ChordPage) -> None:
    """Draw when each attempt waited and ran, and where."""
    st.subheader("Timeline", anchor=False)
    if page.timeline.bars:
        show_timeline(page.timeline)
    elif page.chord.instrumented:
        st.caption("No task of it has been sent yet.")
    else:
        st.caption(
            "Nobody recorded when its tasks ran: call `chordwatch.instrument(app)` in the workers and in what sends "
            "chords, and the next one has a timeline."
        )


def show_related(page: ChordPage) -> None:
    """Draw the chords that belong to this one; choosing one opens it."""
    if not page.related:
        return
    st.subheader("Related chords", anchor=False)
    tables.related_table(page.related, key=f"related {page.chord.chord_id}")
    st.caption("Tick a chord to open it.")


def show_report(page: ChordPage) -> None:
    """Draw the report, to be copied."""
    with st.expander("Report for a ticket", icon=":material/content_copy:"):
        st.caption("Without arguments, results, hosts and passwords.")
        st.code(page.report, language=None, wrap_lines=True)


def show_live(wanted: str) -> None:
    """Draw the chord again and again; seldom where nothing changes any more, or where looking takes long."""
    page = None
    if "explain" not in st.session_state:
        with suppress(ChordwatchError):  # said below, by what is live and goes on trying
            page = latest(wanted)
    seldom = page is not None and (page.finished or len(page.tasks) > ROWS)
    chord_ui.live(SELDOM if seldom else chord_ui.REFRESH)(show)(wanted)


st.title("Chord", anchor=False)
if asked := wanted_id():
    show_live(asked)
else:
    show_nothing_asked()
