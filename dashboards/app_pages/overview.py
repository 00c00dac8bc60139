# ruff: noqa: INP001  # Streamlit executes pages by path, nobody imports them
"""The overview: is anything stuck, which chord, why, and what to do; and how deep the queues are, and who works."""

from __future__ import annotations

from collections.abc import Sequence

import chord_links as links
import chord_tables as tables
import chord_ui
import streamlit as st

from chordwatch.board.grouping import STUCK, Group, by_cause
from chordwatch.board.recent import Trend, ended_in, trend_of
from chordwatch.board.rows import Board
from chordwatch.board.samples import Sample
from chordwatch.model import OUTCOMES, Health
from chordwatch.watch.words import duration

#: Seconds that trends go back.
HOUR = 3600.0
#: What fits on a screen or two; the rest is counted.
SHOWN_CAUSES, SHOWN_CHORDS, SHOWN_QUEUES, SHOWN_WORKERS = 2, 100, 100, 100
#: Health of which more is worse.
BAD: frozenset[Health] = frozenset({"hung", "looping", "failed", "late"})
#: All but `ok`, which is what is left.
COUNTED: tuple[Health, ...] = ("hung", "looping", "failed", "late", "waiting")
#: Pixels.
METRIC_WIDTH = 122


@chord_ui.live()
def show() -> None:
    """Draw the latest board, again and again without the rest of the page."""
    board = chord_ui.board()
    open_chords = sum(board.counts.values()) + board.beyond
    show_headline(board, open_chords)
    show_causes(board)
    show_chords(board, open_chords)
    show_counts(board, open_chords, chord_ui.history(HOUR))
    show_queues(board)
    show_workers(board)
    chord_ui.notes(board)


def show_headline(board: Board, open_chords: int) -> None:
    """Say in one line whether anything is stuck."""
    chords = f"{open_chords:,} open chord{'' if open_chords == 1 else 's'}" + (
        " seen" if board.partial else ""
    )
    if board.stuck:
        st.header(
            f":red[{board.stuck:,} of {chords} {'is' if board.stuck == 1 else 'are'} stuck]", anchor=False
        )
    elif open_chords:
        st.header(f"None of {chords} is known to be stuck", anchor=False)
    else:
        st.header("No open chords" + (" seen" if board.partial else ""), anchor=False)
    chord_ui.freshness(board)


def show_causes(board: Board) -> None:
    """Draw why chords are stuck and what to do about it, the most frequent causes first."""
    groups = by_cause(row for row in board.chords if row.health in STUCK)
    for group in groups[:SHOWN_CAUSES]:
        show_cause(group)
    more = len(groups) - SHOWN_CAUSES
    if more > 0:
        st.page_link(
            links.STUCK,
            label=f"{more:,} more cause{'' if more == 1 else 's'}",
            icon=":material/arrow_forward:",
            query_params={"by": "cause"},
        )


def show_cause(group: Group) -> None:
    """Draw one cause: how many chords, why the oldest is stuck, what to do."""
    one = group.chords == 1
    with st.container(border=True):
        why, remedy = st.columns(2)
        with why.container(gap="xsmall"):
            chords = f"**{group.chords:,} chord{'' if one else 's'}**{'' if one else ', the oldest:'}"
            st.markdown(f"{chord_ui.health_badge(group.health)} {chords}")
            chord_ui.literal(group.why)
            st.page_link(
                links.STUCK,
                label="Show it" if one else "Show them",
                icon=":material/arrow_forward:",
                query_params={"cause": group.name} if group.name else None,
            )
        if group.remedy:
            with remedy.container(gap="xsmall"):
                st.markdown("**What to do**")
                chord_ui.literal(group.remedy, chord_ui.REMEDY_LENGTH)


def show_counts(board: Board, open_chords: int, samples: Sequence[Sample]) -> None:
    """Draw how many open chords have each health, worst first, and how many ended, each against an hour ago."""
    st.subheader(f"Now, and {ago(samples, board)} ago" if samples else "Now", anchor=False)
    with st.container(horizontal=True, gap="xsmall"):
        for health in COUNTED:
            count, name = board.counts.get(health, 0), health.capitalize()
            label = f":{chord_ui.COLOURS[health]}[**{name}**]" if count else name
            trend = trend_of(samples, board, [health])
            show_count(label, count, trend, chord_ui.MEANINGS[health], bad=health in BAD)
        trend = trend_of(samples, board, OUTCOMES)
        show_count("Open", open_chords, trend, "All chords that have not ended", bad=False)
        show_ended(board, samples)


def show_count(label: str, count: int, trend: Trend, meaning: str, *, bad: bool) -> None:
    """Draw one count with its trend."""
    known = trend.change is not None
    st.metric(
        label,
        short(count),
        delta=(f"{trend.change:+,}" if trend.change else "±0") if known else None,
        delta_color="inverse" if bad and trend.change else "off",
        delta_arrow="auto" if trend.change else "off",
        chart_data=trend.values if known else None,
        help=f"{meaning}: {count:,}",
        border=True,
        width=METRIC_WIDTH,
    )


def show_ended(board: Board, samples: Sequence[Sample]) -> None:
    """Draw how many chords ended since then, or ever where there is no history."""
    ended = ended_in(samples)
    if ended:
        succeeded, failed = ended.succeeded, ended.failed
    elif board.finished is not None:
        failed = board.finished.get("failed", 0)
        succeeded = sum(board.finished.values()) - failed
    else:
        return
    st.metric(
        "Ended",
        short(succeeded + failed),
        delta=f"{short(failed)} failed",
        delta_color="inverse" if failed else "off",
        delta_arrow="off",
        help=f"Recorded chords that ended {'in this time' if ended else 'so far'}: "
        f"{succeeded:,} succeeded, {failed:,} failed",
        border=True,
        width=METRIC_WIDTH,
    )


def ago(samples: Sequence[Sample], board: Board) -> str:
    """Return in words how far the samples go back, in whole minutes."""
    return duration(max(60.0, round((board.taken_at - samples[0].at) / 60) * 60))


def short(number: int) -> str:
    """Return a number with at most five digits; the exact one stands in the help beside it."""
    for least, divisor, unit in ((10_000_000, 1_000_000, "M"), (10_000, 1_000, "k")):
        if number >= least:
            return f"{number // divisor:,}{unit}"
    return f"{number:,}"


def show_chords(board: Board, open_chords: int) -> None:
    """Draw the table of open chords, the worst first, or say how to get one."""
    if not board.chords:
        st.info(
            "All chords have finished, or none was started. Start one with `chord(header)(callback)` "
            "in your code, or with `python -m tasks.run slow` in the demo.",
            icon=":material/info:",
        )
        return
    st.subheader("Open chords, the worst first", anchor=False)
    shown = board.chords[:SHOWN_CHORDS]
    tables.chord_table(shown, key="open_chords")
    more = open_chords - len(shown)
    st.caption(
        "Tick a row to open the chord."
        + (f" These are {len(shown):,} of {open_chords:,}; {more:,} more are not shown." if more > 0 else "")
    )


def show_queues(board: Board) -> None:
    """Draw how deep the queues are."""
    waiting = sum(queue.length for queue in board.queues)
    st.subheader(f"Queues: {waiting:,} task{'' if waiting == 1 else 's'} waiting", anchor=False)
    if not board.queues:
        st.caption("No queue was seen: no task waits, and no worker named a queue.")
        return
    tables.queue_table(board.queues[:SHOWN_QUEUES], key="queues")
    if len(board.queues) > SHOWN_QUEUES:
        st.caption(f"The longest {SHOWN_QUEUES} of {len(board.queues):,} queues.")


def show_workers(board: Board) -> None:
    """Draw who works, those that vanished first."""
    vanished = sum(not worker.up for worker in board.workers)
    up = len(board.workers) - vanished
    st.subheader(f"Workers: {up:,} up" + (f", :red[{vanished:,} vanished]" if vanished else ""), anchor=False)
    if not board.workers:
        st.caption(f"No worker answered. Start one: `celery -A {chord_ui.app_name()} worker`")
        return
    tables.worker_table(board.workers[:SHOWN_WORKERS], key="workers")
    if len(board.workers) > SHOWN_WORKERS:
        st.caption(f"{SHOWN_WORKERS} of {len(board.workers):,} workers.")


show()
