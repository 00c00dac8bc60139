"""Names as labels: bounded in length and number, encodable, never an id."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from chordwatch.model import FINISHED
from chordwatch.store.labels import MAX_CALLBACKS, OTHER, UNKNOWN
from chordwatch.store.protocol import Counters
from chordwatch.text import plain
from chordwatch.watch import Look

LABEL_LENGTH = 200


def label(name: str) -> str:
    """Return a name as a label that every scrape can carry: encodable, bounded. Two that become one are summed."""
    return plain(name, LABEL_LENGTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackLabels:
    """The labels of one scrape: `counted` are the callback names with counters, `known` all that are labels."""

    counted: tuple[str, ...]
    known: frozenset[str]

    def __call__(self, name: str | None) -> str:
        """Return the label of a callback name, None where it is not known."""
        named = name or UNKNOWN
        return label(named) if named in self.known else OTHER


class CallbackNames:
    """Decides which callback names are labels, and stays with it: a series must not become `other` at the next scrape.

    Names that the store counts come first, as it has the same limit and keeps to the names that it met first: that is
    the same for two monitors, and after a restart. The places that are left go to callbacks that are only seen, those
    with most open chords first; each keeps its place while chords of it are open and the store does not need it.
    Thread-safe.
    """

    def __init__(self) -> None:
        self._counted: list[str] = []
        self._seen: list[str] = []
        self._lock = threading.Lock()

    def labels(self, look: Look | None, counters: Counters | None) -> CallbackLabels:
        """Return the labels of a scrape that shows these; what is None leaves everything as it was."""
        own = {UNKNOWN, OTHER}
        counted = set(_counted(counters)) if counters else set[str]()
        with self._lock:
            if counters:
                self._counted = _placed(self._counted, sorted(counted - own), MAX_CALLBACKS)
            if look:
                names = [name for name in _by_number(look) if name not in {*self._counted, *own}]
                self._seen = _placed(self._seen, names, MAX_CALLBACKS - len(self._counted))
            return CallbackLabels(
                counted=(*self._counted, *sorted(counted & own)),
                known=frozenset({*self._counted, *self._seen, *own}),
            )


def open_chords(look: Look) -> tuple[tuple[str | None, float | None], ...]:
    """Return callback name and time of opening of each chord of the look that is open; planned ones are not yet."""
    return tuple(
        (chord.callback.name, chord.opened_at)
        for chord in look.chords
        if chord.state not in FINISHED and chord.state != "planned"
    )


def _placed(before: Iterable[str], names: Iterable[str], places: int) -> list[str]:
    """Return so many of the names, first those that had a place before."""
    wanted = dict.fromkeys(names)
    return list(dict.fromkeys([*(name for name in before if name in wanted), *wanted]))[:places]


def _by_number(look: Look) -> list[str]:
    """Return the names of callbacks of open chords, those with most of them first."""
    numbers = Counter(name or UNKNOWN for name, _ in open_chords(look))
    for name, (number, _) in look.beyond.items():
        numbers[name or UNKNOWN] += number
    return [name for name, _ in numbers.most_common()]


def _counted(counters: Counters) -> Iterable[str]:
    tasks = (
        *counters.finished,
        *counters.callbacks,
        *counters.header_tasks,
        *counters.retries,
        *counters.verdicts,
    )
    histograms = (name for histogram in counters.histograms.values() for name in histogram)
    names = (*counters.started, *counters.repeated, *(key[0] for key in tasks), *histograms)
    return (name or UNKNOWN for name in names)
