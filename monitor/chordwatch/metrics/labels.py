"""Names as labels: bounded in length and number, encodable, never an id."""

from __future__ import annotations

from collections import Counter

from chordwatch.model import FINISHED
from chordwatch.store.protocol import Counters
from chordwatch.text import plain
from chordwatch.watch import Look

#: Beyond so many callback names the rest is `other`.
MAX_CALLBACKS = 200
LABEL_LENGTH = 200
UNKNOWN, OTHER = "unknown", "other"


def label(name: str) -> str:
    """Return a name as a label that every scrape can carry: encodable, bounded. Two that become one are summed."""
    return plain(name, LABEL_LENGTH)


class CallbackLabels:
    """The label of each callback name: those that are counted come first, then those of open chords, by number."""

    def __init__(self, look: Look | None, counters: Counters | None) -> None:
        names = dict.fromkeys(_counted(counters)) if counters else {}
        self.counted = [self._named(name) for name in names][:MAX_CALLBACKS]
        open_now = Counter(self._named(name) for name, _ in open_chords(look)) if look else Counter[str]()
        for name, (number, _) in look.beyond.items() if look else ():
            open_now[self._named(name)] += number
        places = MAX_CALLBACKS - len(set(self.counted))
        fresh = [name for name, _ in open_now.most_common() if name not in set(self.counted)]
        self._known = {*self.counted, *fresh[:places]}

    def __call__(self, name: str | None) -> str:
        """Return the label of a callback name, None where it is not known."""
        named = self._named(name)
        return label(named) if named in self._known else OTHER

    @staticmethod
    def _named(name: str | None) -> str:
        return name or UNKNOWN


def open_chords(look: Look) -> tuple[tuple[str | None, float | None], ...]:
    """Return callback name and time of opening of each chord of the look that is open; planned ones are not yet."""
    return tuple(
        (chord.callback.name, chord.opened_at)
        for chord in look.chords
        if chord.state not in FINISHED and chord.state != "planned"
    )


def _counted(counters: Counters) -> list[str]:
    tasks = (*counters.finished, *counters.callbacks, *counters.header_tasks, *counters.retries)
    histograms = (name for histogram in counters.histograms.values() for name in histogram)
    return [*counters.started, *(key[0] for key in tasks), *histograms]
