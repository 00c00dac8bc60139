"""The store as a look reads it: what cannot be read is a gap, and the X-ray goes on alone.

Runs in a reading process. Keeps one connection, opened when it is first needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from chordwatch.errors import SettingError, UnreachableError
from chordwatch.evidence.budget import Gaps
from chordwatch.model import FINISHED
from chordwatch.store.protocol import Counters, RecordedChord, Store, WorkerRecord

#: A look reads so many open chords, those without progress for longest, and so many finished ones, the newest.
MAX_OPEN = 10_000
MAX_FINISHED = 1_000
#: A store that did not answer is asked again after so many seconds: waiting for it would delay every look.
_RETRY_AFTER = 10.0

_Answer = TypeVar("_Answer")
StoreOpener = Callable[[], Store]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a look read from the store: chords by id, workers, the store's clock, and what there is beyond.

    `beyond` counts open chords that were not read: by callback name how many, and when the oldest was opened.
    """

    chords: Mapping[str, RecordedChord] = field(default_factory=dict)
    workers: Sequence[WorkerRecord] = ()
    now: float = 0.0
    beyond: Mapping[str, tuple[int, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the store counted, its workers, its size in bytes and its clock (Unix seconds).

    `up` is False when it does not answer, or there is none; nothing else is known then.
    """

    up: bool = False
    counters: Counters = field(default_factory=Counters)
    workers: Sequence[WorkerRecord] = ()
    bytes_used: int = 0
    now: float = 0.0


class RecordReader:
    """Reads one store. Not thread-safe."""

    def __init__(self, open_store: StoreOpener) -> None:
        self._open = open_store
        self._store: Store | None = None
        self._refused: str | None = None
        self._again_at = 0.0

    def close(self) -> None:
        """Give the connection back."""
        if self._store:
            self._store.close()
            self._store = None
        self._refused = None

    def chord(self, id: str, gaps: Gaps) -> RecordedChord | None:  # noqa: A002  # as in the protocol
        """Return the chord with this group id, callback id or header task id."""
        return self._read(lambda store: store.get(id), gaps)

    def workers(self, gaps: Gaps) -> Recorded:
        """Return the workers and the clock alone, as one chord needs them."""
        return (
            self._read(lambda store: Recorded(workers=store.workers(), now=store.now()), gaps) or Recorded()
        )

    def chords(self, met: Iterable[str], finished: int, gaps: Gaps) -> Recorded:
        """Return the open chords, the newest `finished` ones, and what is known of the group ids `met`."""
        return self._read(lambda store: _chords(store, set(met), finished, gaps), gaps) or Recorded()

    def totals(self) -> Totals:
        """Return the counters, and what else is not of one chord."""
        return self._read(_totals, Gaps()) or Totals()

    def _read(self, read: Callable[[Store], _Answer], gaps: Gaps) -> _Answer | None:
        if self._refused is None or time.monotonic() >= self._again_at:
            try:
                self._store = self._store or self._open()
                answer = read(self._store)
            except (UnreachableError, SettingError) as exc:
                self.close()
                self._refused, self._again_at = str(exc), time.monotonic() + _RETRY_AFTER
            else:
                self._refused = None
                return answer
        gaps.note(f"Nothing that was recorded is shown: {_inner(self._refused or '')}")
        return None


def _chords(store: Store, met: set[str], finished: int, gaps: Gaps) -> Recorded:
    still_open = store.open_chords(limit=MAX_OPEN)
    over = store.finished_chords(limit=finished) if finished else ()
    # Read last, so that what has finished meanwhile is finished.
    chords = {recorded.chord.chord_id: recorded for recorded in (*still_open, *over)}
    chords |= {recorded.chord.chord_id: recorded for recorded in store.chords(met - chords.keys())}
    beyond = _beyond(store, still_open) if len(still_open) >= MAX_OPEN else {}
    if beyond:
        number = sum(count for count, _ in beyond.values())
        gaps.note(f"{number:,} more chords are open; those without progress for longest were read.")
    if finished >= MAX_FINISHED and len(over) >= finished:
        gaps.note(f"Of the finished chords the newest {len(over):,} were read.")
    return replace(_workers(store), chords=chords, beyond=beyond)


def _workers(store: Store) -> Recorded:
    workers = store.workers()
    # A user who may only read may not ask for the time; who has no workers need not.
    return Recorded(workers=workers, now=store.now() if workers else 0.0)


def _beyond(store: Store, read: Sequence[RecordedChord]) -> dict[str, tuple[int, float]]:
    counts = dict(store.open_counts())
    for recorded in read:
        name = recorded.chord.callback.name or ""
        if name in counts and recorded.chord.state not in {*FINISHED, "planned"}:
            number, oldest = counts[name]
            counts[name] = number - 1, oldest
    return {name: (number, oldest) for name, (number, oldest) in counts.items() if number > 0}


def _totals(store: Store) -> Totals:
    known = _workers(store)
    return Totals(
        up=True,
        counters=store.counters(),
        workers=known.workers,
        bytes_used=store.state().bytes_used,
        now=known.now,
    )


def _inner(sentence: str) -> str:
    """Return a sentence as it stands after a colon."""
    return sentence[:1].lower() + sentence[1:]
