"""The store as a look reads it: what cannot be read is a gap, and the X-ray goes on alone.

Runs in a reading process. Keeps one connection, opened when it is first needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from chordwatch.errors import RefusedError, SettingError, UnreachableError
from chordwatch.evidence.budget import Gaps
from chordwatch.model import FINISHED
from chordwatch.store.protocol import Counters, Judgement, RecordedChord, Store, WorkerRecord
from chordwatch.watch.lives import any_silent

#: A look reads so many open chords, those without progress for longest, and so many finished ones, the newest.
MAX_OPEN = 10_000
MAX_FINISHED = 1_000
#: A store that did not answer is asked again after so many seconds: waiting for it would delay every look.
_RETRY_AFTER = 10.0
#: A worker whose last heartbeat is older may be dead. Seconds.
STALE_BEAT = 8.0

_Answer = TypeVar("_Answer")
StoreOpener = Callable[[], Store]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a look read from the store: chords by id, workers, the store's clock, and what there is beyond.

    `connections` are the (node, boot) that are connected to the store; None where nobody asked, or it was refused.

    `beyond` counts open chords that were not read: by callback name how many, and when the oldest was opened.
    """

    chords: Mapping[str, RecordedChord] = field(default_factory=dict)
    workers: Sequence[WorkerRecord] = ()
    connections: frozenset[tuple[str, str]] | None = None
    now: float = 0.0
    beyond: Mapping[str, tuple[int, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the store counted, its workers, its size in bytes and its clock (Unix seconds).

    `taken_at`: when it was asked, by this process's clock (Unix seconds).
    `up` is False when it does not answer; nothing else is known then.
    """

    taken_at: float = field(default_factory=time.time, compare=False)
    up: bool = False
    counters: Counters = field(default_factory=Counters)
    workers: Sequence[WorkerRecord] = ()
    bytes_used: int = 0
    now: float = 0.0


class RecordReader:
    """Reads one store. Not thread-safe."""

    def __init__(self, open_store: StoreOpener, stale: float = STALE_BEAT) -> None:
        """`stale` is the age in seconds from which on a heartbeat makes one ask whether its worker is connected."""
        self._open = open_store
        self._stale = stale
        self._store: Store | None = None
        self._refused: UnreachableError | SettingError | None = None
        self._again_at = 0.0
        #: Since when (Unix seconds) a store that had answered does not; None while it does, or if it never did.
        self.lost_at: float | None = None
        #: Whether the store did not answer when it was asked last.
        self.away = False
        self._answered = False
        self._connections: frozenset[tuple[str, str]] | None = None
        self._connections_at = 0.0

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
        return self._read(self._workers_of, gaps) or Recorded()

    def chords(self, met: Iterable[str], finished: int, gaps: Gaps, *, limit: int | None = None) -> Recorded:
        """Return the open chords, the newest `finished` ones, and what is known of the group ids `met`.

        `limit` is `MAX_OPEN` unless given; below it nothing is said about what there is beyond.
        """
        return (
            self._read(lambda store: self._chords(store, set(met), finished, gaps, limit or MAX_OPEN), gaps)
            or Recorded()
        )

    def judgements(self, chord_ids: Iterable[str], gaps: Gaps) -> Mapping[str, Judgement]:
        """Return what a monitor found last of those of the chords with these group ids that have verdicts."""
        return self._read(lambda store: store.judgements(chord_ids), gaps) or {}

    def totals(self) -> Totals | None:
        """Return the counters, and what else is not of one chord; None where the settings lead to no store."""
        totals = self._read(_totals, Gaps())
        return totals or (None if isinstance(self._refused, SettingError) else Totals())

    def _workers_of(self, store: Store) -> Recorded:
        workers = store.workers()
        # A user who may only read may not ask for the time; who has no workers need not.
        now = store.now() if workers else 0.0
        return Recorded(workers=workers, connections=self._connected(store, workers, now), now=now)

    def _connected(
        self, store: Store, workers: Sequence[WorkerRecord], now: float
    ) -> frozenset[tuple[str, str]] | None:
        """Return who is connected to the store, where a worker is silent that was not seen to have gone before.

        CLIENT LIST takes Redis about 1 ms per 1,000 clients, and a dead worker is remembered for an hour.
        """
        known = self._connections
        unsure = [
            each
            for each in workers
            if known is None
            or (each.heartbeat.node, each.heartbeat.boot) in known
            or each.last_beat_at > self._connections_at
        ]
        if any_silent(unsure, now, self._stale):
            self._connections, self._connections_at = store.connections(), now
        return self._connections if any_silent(workers, now, self._stale) else None

    def _chords(self, store: Store, met: set[str], finished: int, gaps: Gaps, limit: int) -> Recorded:
        still_open = store.open_chords(limit=limit)
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
        return replace(self._workers_of(store), chords=chords, beyond=beyond)

    def _read(self, read: Callable[[Store], _Answer], gaps: Gaps) -> _Answer | None:
        if self._refused is None or time.monotonic() >= self._again_at:
            try:
                self._store = self._store or self._open()
                answer = read(self._store)
            except (UnreachableError, SettingError) as exc:
                self.close()
                self._refused, self._again_at = exc, time.monotonic() + _RETRY_AFTER
                # Without a right, the rest of what one may see is seen all the same.
                self.away = isinstance(exc, UnreachableError) and not isinstance(exc, RefusedError)
                self.lost_at = self.lost_at or (time.time() if self._answered else None)
            else:
                self._refused, self.lost_at, self._answered, self.away = None, None, True, False
                return answer
        gaps.note(f"Nothing that was recorded is shown: {_inner(str(self._refused))}")
        return None


def _beyond(store: Store, read: Sequence[RecordedChord]) -> dict[str, tuple[int, float]]:
    counts = dict(store.open_counts())
    for recorded in read:
        name = recorded.chord.callback.name or ""
        if name in counts and recorded.chord.state not in {*FINISHED, "planned"}:
            number, oldest = counts[name]
            counts[name] = number - 1, oldest
    return {name: (number, oldest) for name, (number, oldest) in counts.items() if number > 0}


def _totals(store: Store) -> Totals:
    workers = store.workers()
    return Totals(
        up=True,
        counters=store.counters(),
        workers=workers,
        bytes_used=store.state().bytes_used,
        now=store.now() if workers else 0.0,
    )


def _inner(sentence: str) -> str:
    """Return a sentence as it stands after a colon."""
    return sentence[:1].lower() + sentence[1:]
