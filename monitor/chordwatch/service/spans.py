"""Writes the spans of chords that no worker ends: of those that failed before their callback ran, and of hung ones.

Runs in the monitor's thread, where tracing is on. Keeps a connection of its own, opened when it is first needed.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator

from chordwatch.errors import SettingError, UnreachableError
from chordwatch.model import FINISHED, Chord
from chordwatch.store.protocol import RecordedChord, Store
from chordwatch.tracing import chord_span
from chordwatch.tracing.providers import Providers
from chordwatch.tracing.spans import Spans
from chordwatch.watch import Look

logger = logging.getLogger(__name__)

#: Seconds for which a chord that failed is left to the worker that may have run its callback.
_GRACE = 5.0
#: Seconds after which a store that did not answer is asked again.
_RETRY = 10.0
#: So many chords are read for one look; the rest waits for the next.
_AT_ONCE = 100


class LostSpans:
    """Takes looks one after another. A span is written once, also with several monitors, and after a restart."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        providers: Providers,
        *,
        keep: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`open_store` may raise what opening a store raises; then the spans wait.

        `keep` is for how many seconds it is remembered that a chord's span was written.
        """
        self._open, self._providers, self._keep, self._clock = open_store, providers, keep, clock
        self._store: Store | None = None
        self._again_at = -math.inf
        self._done: set[str] = set()

    def close(self) -> None:
        """Export what is left, and give the connection back."""
        self._providers.flush()
        self._hang_up()

    def write(self, look: Look) -> None:
        """Write the spans of the chords that this look shows to be over, and none before it did."""
        over = {chord.chord_id: chord for chord in _over(look)}
        self._done &= over.keys()
        new = [chord_id for chord_id in over if chord_id not in self._done][:_AT_ONCE]
        spans = self._providers.spans() if new and self._clock() >= self._again_at else None
        if spans is None:
            return
        try:
            self._store = self._store or self._open()
            for recorded in self._store.chords(new):
                if recorded.trace:
                    self._end(spans, self._store, recorded, over[recorded.chord.chord_id], look.taken_at)
        except (UnreachableError, SettingError) as exc:
            self._hang_up()
            self._again_at = self._clock() + _RETRY
            logger.debug("Spans of chords wait: %s", exc)
        else:
            self._done.update(new)

    def _end(self, spans: Spans, store: Store, recorded: RecordedChord, seen: Chord, now: float) -> None:
        causes = (verdict.cause for verdict in seen.verdicts if verdict.outcome == seen.health)
        chord_span.write(
            spans,
            store,
            recorded,
            ended_at=_end_of(seen, recorded.chord, now),
            keep=self._keep,
            cause=next(causes, "unknown"),
        )

    def _hang_up(self) -> None:
        if self._store:
            self._store.close()
            self._store = None


def _end_of(seen: Chord, recorded: Chord, now: float) -> float:
    """Return when a chord ended, which is not before its tasks did; of one that hangs, when that was seen."""
    if seen.finished_at is None:
        return now
    ends = (task.finished_at or 0.0 for task in recorded.header)
    return max(seen.finished_at, recorded.callback.finished_at or 0.0, *ends)


def _over(look: Look) -> Iterator[Chord]:
    """Yield the chords whose end no worker writes."""
    for chord in look.chords:
        if chord.state in FINISHED:
            ended_for = look.taken_at - (chord.finished_at or 0.0)
            if chord.state != "succeeded" and ended_for >= _GRACE:
                yield chord
        elif chord.health == "hung":
            yield chord
