# ruff: noqa: INP001  # Streamlit puts this folder on sys.path, so these are modules and not a package
"""From one look to what the overview shows: counts, rows, order and notes as plain values.

Pure, without Streamlit: the pages only draw what stands here.
All texts are one short line each, and not yet safe as Markdown (see `chordwatch.watch.words`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from heapq import nsmallest
from math import inf
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chordwatch.evidence.facts import Queue
from chordwatch.model import OUTCOMES, Chord, Outcome
from chordwatch.text import plain
from chordwatch.watch.look import Look, Sighting
from chordwatch.watch.words import SENTENCE_LENGTH, UNKNOWN, cause_of, progress_of, severity, waits_for

#: A person reads a screen or two; the worst come first, and the rest is counted.
SHOWN_CHORDS = 200
SHOWN_QUEUES = 100
SHOWN_NOTES = 20

#: Chords that will not finish by themselves, as `chords check` counts them.
STUCK: frozenset[Outcome] = frozenset({"hung", "looping"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChordRow:
    """One open chord; `percent` and the times (in seconds) are None where they are not known."""

    health: str
    callback: str
    progress: str
    percent: int | None
    age: float | None
    idle: float | None
    cause: str
    waits_for: str
    chord_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """One queue of the broker. `consumers` is `?` when no worker was asked."""

    name: str
    length: int
    unacked: int
    consumers: str
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything the overview draws."""

    headline: str
    stuck: int
    counts: dict[Outcome, int]
    chords: tuple[ChordRow, ...]
    queues: tuple[QueueRow, ...]
    cut: str
    queues_cut: str
    seen: str
    notes: tuple[str, ...]


def overview_of(look: Look, *, zone: str | None = None) -> Overview:
    """Return what to draw of a look at all open chords, for a viewer in time zone `zone` (its IANA name)."""
    counts = health_counts(look.chords)
    stuck = sum(counts[outcome] for outcome in STUCK)
    worst = nsmallest(SHOWN_CHORDS, look.sightings, key=_severity)
    queues = queue_rows(look.queues)
    return Overview(
        headline=_headline(stuck, len(look.sightings), partial=look.partial),
        stuck=stuck,
        counts=counts,
        chords=tuple(chord_row(sighting, now=look.taken_at) for sighting in worst),
        queues=queues,
        cut=_cut("worst", len(worst), len(look.sightings), "open chords"),
        queues_cut=_cut("longest", len(queues), len(look.queues), "queues"),
        seen=_seen(look, zone),
        notes=_notes(look),
    )


def health_counts(chords: tuple[Chord, ...]) -> dict[Outcome, int]:
    """Return how many of `chords` have each health an open chord can have, worst first."""
    counted = Counter(chord.health for chord in chords)
    return {outcome: counted[outcome] for outcome in OUTCOMES}


def chord_row(sighting: Sighting, *, now: float) -> ChordRow:
    """Return the row of one chord as it was at `now`."""
    chord = sighting.chord
    return ChordRow(
        health=chord.health,
        callback=plain(chord.callback.name or UNKNOWN),
        progress=progress_of(chord),
        percent=_percent(chord),
        age=_since(chord.opened_at, now),
        idle=_since(chord.progressed_at or chord.opened_at, now),
        cause=cause_of(chord),
        waits_for=waits_for(sighting, now=now),
        chord_id=plain(chord.chord_id),
    )


def queue_rows(queues: tuple[Queue, ...]) -> tuple[QueueRow, ...]:
    """Return the rows of the queues: first those with tasks and no consumer, then the longest."""
    ordered = nsmallest(
        SHOWN_QUEUES, queues, key=lambda queue: (not _abandoned(queue), -queue.length, queue.name)
    )
    return tuple(
        QueueRow(
            name=plain(queue.name),
            length=queue.length,
            unacked=queue.unacked,
            consumers=UNKNOWN if queue.consumers is None else f"{queue.consumers:,}",
            remark="tasks wait and no worker consumes this queue" if _abandoned(queue) else "",
        )
        for queue in ordered
    )


def clock(timestamp: float, zone: str | None) -> str:
    """Return the time of day in `zone`, in UTC (and saying so) where the zone is not known."""
    try:
        known = ZoneInfo(zone) if zone else None
    except (ZoneInfoNotFoundError, ValueError):
        known = None
    moment = datetime.fromtimestamp(timestamp, known or timezone.utc)
    return f"{moment:%H:%M:%S}" if known else f"{moment:%H:%M:%S} UTC"


def _severity(sighting: Sighting) -> tuple[int, float, str]:
    chord = sighting.chord
    return severity(chord), chord.opened_at or chord.progressed_at or inf, chord.chord_id


def _percent(chord: Chord) -> int | None:
    # Rounded down: 99,999 of 100,000 is not all.
    return min(100, chord.counted * 100 // chord.size) if chord.size else None


def _since(moment: float | None, now: float) -> float | None:
    # Clocks differ between machines; nothing has begun in the future.
    return None if moment is None else max(0.0, now - moment)


def _abandoned(queue: Queue) -> bool:
    return queue.consumers == 0 and queue.length > 0


def _headline(stuck: int, total: int, *, partial: bool) -> str:
    chords = f"{total:,} open chord{'' if total == 1 else 's'}" + (" seen" if partial else "")
    if not total:
        return "No open chords" + (" seen" if partial else "")
    if stuck:
        return f"{stuck:,} of {chords} {'is' if stuck == 1 else 'are'} stuck"
    return f"None of {chords} is known to be stuck"


def _cut(which: str, shown: int, total: int, what: str) -> str:
    if total <= shown:
        return ""
    return f"The {which} {shown:,} of {total:,} {what}; {total - shown:,} more are not shown."


def _seen(look: Look, zone: str | None) -> str:
    workers = len(look.workers)
    answered = f"{workers:,} worker{'' if workers == 1 else 's'} answered"
    return f"Seen at {clock(look.taken_at, zone)} · {answered}"


def _notes(look: Look) -> tuple[str, ...]:
    partial = (
        ["This look ended on its time budget: there may be chords that it has not seen."]
        if look.partial
        else []
    )
    gaps = [plain(gap, SENTENCE_LENGTH) for gap in look.gaps[:SHOWN_NOTES]]
    more = len(look.gaps) - SHOWN_NOTES
    return (*partial, *gaps, *([f"{more:,} more notes of this kind."] if more > 0 else []))
