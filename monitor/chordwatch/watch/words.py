"""What every surface says about a chord, as short plain text. Pure.

Names, errors and queue names are other people's: `plain` makes them one short line in which every character
can be seen. That is not yet safe as Markdown, where no escaping helps in Streamlit (it replaces emoji
shortcodes, icons and links after backslashes are gone), nor as rich markup: show it literally.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

from chordwatch.diagnosis.causes import REMARKS
from chordwatch.evidence.facts import Place, PlaceKind
from chordwatch.model import FINISHED, OUTCOMES, Chord, Verdict
from chordwatch.text import plain
from chordwatch.watch.look import Sighting

UNKNOWN = "?"
PLACE_LENGTH = 40
SENTENCE_LENGTH = 300

#: In the order in which it is worth reading: how a place is said, when all tasks are in one and in several.
_PLACES: dict[PlaceKind, tuple[str, str]] = {
    "queue": ("in queue {name}", "in {count} queues"),
    "nowhere": ("nowhere", "nowhere"),
    "unacked": ("unacked from {name}", "unacked from {count} queues"),
    "scheduled": ("scheduled on {name}", "scheduled on {count} workers"),
    "reserved": ("reserved by {name}", "reserved by {count} workers"),
    "active": ("running on {name}", "running on {count} workers"),
    "unsent": ("not sent before chord {name} ends", "not sent before {count} chords end"),
    "unknown": ("not located", "not located"),
}


def duration(seconds: float | None) -> str:
    """Return a span of time in its two largest units, `?` when it is not known."""
    if seconds is None or seconds != seconds:  # noqa: PLR0124  # pandas turns None into NaN, the only such number
        return UNKNOWN
    whole = max(0, int(seconds))
    if whole < 60:  # noqa: PLR2004  # seconds in a minute
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if not hours:
        large, small, unit = f"{minutes} min", whole % 60, "s"
    elif not days:
        large, small, unit = f"{hours} h", minutes % 60, "min"
    else:
        large, small, unit = f"{days:,} d", hours % 24, "h"
    return f"{large} {small} {unit}" if small else large


def span(seconds: float) -> str:
    """Return a span of time: to a hundredth of a second below a minute, since tasks are short."""
    return f"{max(0.0, seconds):.2f} s" if seconds < 60 else duration(seconds)  # noqa: PLR2004  # as above


def moment(at: float | None) -> str:
    """Return a time in this machine's zone."""
    if at is None:
        return "not known"
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def place_words(place: Place | None, at: Callable[[float], str] = moment) -> str:
    """Return where a task is; `at` says a time."""
    if place is None:
        return ""
    name = plain(place.name or "")
    until = f" until {at(place.eta)}" if place.eta else ""
    return {
        "queue": f"in queue {name}",
        "unacked": f"delivered from {name}, not acknowledged",
        "active": f"running on {name}",
        "reserved": f"received by {name}, not started",
        "scheduled": f"held back by {name}{until}",
        "unsent": f"not sent yet: the callback of chord {name}",
        "nowhere": "nowhere: in no queue, not unacknowledged, at no worker that answered",
        "unknown": "not known: not all places could be read",
    }[place.kind]


def short_place(place: Place) -> str:
    """Return where a task is in as few words as there are, without times."""
    return _PLACES[place.kind][0].format(name=plain(place.name or UNKNOWN, PLACE_LENGTH))


def progress_of(chord: Chord) -> str:
    """Return `3 of 8`, `3 of ?` while the size is not known, and `8` alone for a finished header."""
    if chord.size is None and chord.state in FINISHED:
        return f"{chord.counted:,}"
    return f"{chord.counted:,} of {UNKNOWN if chord.size is None else f'{chord.size:,}'}"


def cause_of(chord: Chord) -> str:
    """Return the first verdict in words, with the second where the evidence is certain of neither."""
    if not chord.verdicts:
        return ""
    first, *others = chord.verdicts
    if first.certain:
        return plain(first.summary, SENTENCE_LENGTH)
    second = next((other for other in others if not other.certain and other.outcome == first.outcome), None)
    also = _also(chord, first, second) if second else ""
    return f"{_clause(first)}{also} (not certain)"


def severity(chord: Chord) -> int:
    """Return the rank of a chord's health, the worst first."""
    return OUTCOMES.index(chord.health) if chord.health in OUTCOMES else len(OUTCOMES)


def unlocated(sighting: Sighting) -> int:
    """Return how many parts an open chord waits for that were found nowhere: running without a trace, or lost."""
    chord = sighting.chord
    missing = len(chord.missing) if chord.size is None else max(0, chord.size - chord.counted)
    located = sum(
        place.kind not in {"nowhere", "unknown"}
        for task_id, place in sighting.places.items()
        if task_id != chord.callback.task_id
    )
    return 0 if chord.state in FINISHED or chord.state == "planned" else max(0, missing - located)


def waits_for(sighting: Sighting, *, now: float, running_first: bool = False) -> str:
    """Say where the parts are that this chord still waits for: `2 in queue low, 1 nowhere`.

    With `running_first` what moves stands before what waits, where a line may be cut off.
    """
    chord = sighting.chord
    if chord.state == "planned":
        return "the tasks before it; it is not sent yet"
    callback = sighting.places.get(chord.callback.task_id or "")
    complete = chord.size is not None and chord.counted >= chord.size
    said: list[str] = []
    if not complete:
        header = [place for task_id, place in sighting.places.items() if task_id != chord.callback.task_id]
        missing = len(chord.missing) if chord.size is None else chord.size - chord.counted
        unlocated = max(0, missing - len(header))
        said = _grouped(header, unlocated, now=now, first="active" if running_first else None)
    if callback and (complete or callback.kind not in {"nowhere", "unknown"}):
        said.append("the callback, " + _said_of([callback], now=now))
    elif complete:
        said.append("nothing any more" if chord.health == "failed" else "the callback")
    if not said and chord.size is None and chord.counted:
        return "an unknown number of parts"
    return ", ".join(said) or UNKNOWN


def why(sighting: Sighting, *, now: float) -> str:
    """Return the cause in words; without a verdict, what an open chord waits for."""
    if sighting.chord.state in FINISHED or sighting.chord.verdicts:
        return explained(sighting)
    return f"waits for: {waits_for(sighting, now=now)}"


def explained(sighting: Sighting) -> str:
    """Return the cause in words, and how many parts were found nowhere that it does not explain; "" without one."""
    cause, lost = cause_of(sighting.chord), _unexplained(sighting)
    return f"{cause.removesuffix('.')}. And {lost:,} more not located." if cause and lost else cause


def _unexplained(sighting: Sighting) -> int:
    """Return how many of the unlocated parts no verdict speaks of."""
    chord, places = sighting.chord, sighting.places
    named = {task_id for verdict in chord.verdicts for task_id in verdict.tasks}
    nowhere = {
        part.task_id
        for part in chord.missing
        if part.task_id
        and (part.task_id not in places or places[part.task_id].kind in {"nowhere", "unknown"})
    }
    nameless = sum(part.task_id is None for part in chord.missing)
    # Of unknown size, those that were never seen may be counted already.
    told = chord.size is None or any(
        not (_parts(chord, verdict) or verdict.cause in REMARKS) for verdict in chord.verdicts
    )
    return max(0, unlocated(sighting) - len(nowhere & named) - (nameless if told else 0))


def _parts(chord: Chord, verdict: Verdict) -> set[str]:
    """Return the header tasks that a verdict names; without one it speaks of those whose ids nobody knows, or all."""
    return {task_id for task_id in verdict.tasks if task_id != chord.callback.task_id}


def _also(chord: Chord, first: Verdict, second: Verdict) -> str:
    """Say the second verdict after the first: another cause for the same parts, or the cause for others."""
    parts, others, clause = _parts(chord, first), _parts(chord, second), _clause(second)
    if (parts or others) and not parts & others:
        return f"; and: {clause}"
    beginning, colon, reason = clause.partition(": ")
    repeats = colon and _clause(first).startswith(beginning + colon)
    return f"; or {reason}" if repeats else f"; or: {clause}"


def _clause(verdict: Verdict) -> str:
    return plain(verdict.summary, SENTENCE_LENGTH).rstrip(".")


def _grouped(
    places: Sequence[Place], unlocated: int, *, now: float, first: PlaceKind | None = None
) -> list[str]:
    """Say how many tasks are where; a forged size can make `unlocated` any number."""
    by_kind: defaultdict[PlaceKind, list[Place]] = defaultdict(list)
    for place in places:
        by_kind[place.kind].append(place)
    more = {"unknown": unlocated}
    if unlocated and not by_kind["unknown"]:
        by_kind["unknown"], more = [Place(kind="unknown")], {"unknown": unlocated - 1}
    return [
        f"{len(by_kind[kind]) + more.get(kind, 0):,} {_said_of(by_kind[kind], now=now)}"
        for kind in sorted(_PLACES, key=lambda kind: kind != first)
        if by_kind.get(kind)
    ]


def _said_of(places: Sequence[Place], *, now: float) -> str:
    one, several = _PLACES[places[0].kind]
    names = {place.name for place in places}
    name = plain(names.pop() or UNKNOWN, PLACE_LENGTH) if len(names) == 1 else ""
    text = one.format(name=name) if name else several.format(count=len(names))
    due = min((place.eta for place in places if place.eta is not None and place.eta > now), default=None)
    return text if due is None else f"{text} (due in {duration(due - now)})"
