"""The words of verdicts: numbers, places and times of one chord, other people's names made plain. Pure."""

from __future__ import annotations

from collections.abc import Sized
from datetime import datetime, timezone

from chordwatch.evidence.facts import Place
from chordwatch.model import Chord
from chordwatch.text import plain

#: A verdict names so many things one by one; the rest is counted.
NAMED = 5


def place_words(place: Place) -> str:
    """Return where a task is, with its attempt and the time it is due."""
    name, eta = plain(place.name or "?"), f", due {clock(place.eta)}" if place.eta else ""
    attempt = f", attempt {place.attempt + 1}" if place.attempt else ""
    match place.kind:
        case "queue":
            where = f"in queue {name}"
        case "unacked":
            where = f"delivered from queue {name} at {clock(place.since)} and not acknowledged"
        case "active":
            where = f"running on {name} since {clock(place.since)}"
        case "reserved":
            where = f"received by {name}, not started"
        case "unsent":
            where = f"not sent before the chord {name} ends"
        case _:
            where = f"held back by {name}"
    return where + attempt + eta


def rest(number: int) -> list[str]:
    """Return the sentence about what is not named one by one."""
    return [f"And {number - NAMED:,} more."] if number > NAMED else []


def tasks_that(verb: str, tasks: Sized, which: str = "") -> str:
    """Return e.g. `1 task waits` or `3 tasks of the header wait`."""
    number = len(tasks)
    return f"1 task{which} {verb}s" if number == 1 else f"{number:,} tasks{which} {verb}"


def plural(number: int, noun: str) -> str:
    """Return e.g. `1 start` or `3 starts`."""
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def either(things: Sized, one: str, many: str) -> str:
    """Return the words for one thing, or those for several."""
    return one if len(things) == 1 else many


def name_words(name: str | None) -> str:
    """Return a task's name, made plain."""
    return plain(name) if name else "a task of unknown name"


def sentence(text: str) -> str:
    """Capitalise our own words; a task's name stays as it is."""
    return text[:1].upper() + text[1:] if text.startswith(("the callback", "the task", "a task")) else text


def the_callback(chord: Chord) -> str:
    """Return how to speak of the callback."""
    return f"the callback {plain(chord.callback.name)}" if chord.callback.name else "the callback"


def reads(queues: tuple[str, ...]) -> str:
    """Return which queues a worker reads."""
    return "reads " + listed([plain(queue) for queue in queues]) if queues else "reads nothing"


def listed(names: list[str]) -> str:
    """Return the first names and how many more there are."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def span(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    whole = max(0, int(seconds))
    for unit, length, part, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= length:
            rest_of = whole % length // small
            return f"{whole // length:,} {unit}" + (f" {rest_of} {part}" if rest_of else "")
    return f"{whole} s"


def clock(moment: float | None) -> str:
    """Return a time in UTC: a verdict is read in other zones than it was made in."""
    if moment is None:
        return "an unknown time"
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
