"""What a store can do, whichever it is: Redis in production, the in-memory twin in users' tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chordwatch.model import Chord
from chordwatch.recording.records import Heartbeat


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """A worker as its heartbeats tell: times are Unix seconds of the store's clock; `gone` after a goodbye."""

    heartbeat: Heartbeat
    first_beat_at: float
    last_beat_at: float
    gone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedChord:
    """A chord as it was recorded, with what the contract's `Chord` has no place for.

    `chord` has no verdicts, health `ok` while it is open, `instrumented` True.
    `applied`: how often `_chord.run` dispatched it. `dispatch_error`: `(Unix seconds, error)` where one failed.
    `signature`: the callback's signature as msgpack, while the chord is open and `keep_callbacks` is on.
    `dynamic`: ids of parts added by `add_to_chord`. `etas`: latest known eta by task id.
    `detail_dropped`: the size limit took the header's detail.
    """

    chord: Chord
    applied: int = 0
    dispatch_error: tuple[float, str] | None = None
    signature: bytes | None = None
    dynamic: tuple[str, ...] = ()
    etas: Mapping[str, float] = field(default_factory=dict)
    detail_dropped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Observations: how many were at most each of `BUCKETS` (not cumulative, the last is beyond all), and their sum."""

    counts: tuple[int, ...]
    sum: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Everything that only grows. Keys are label values in the order of the metric's contract.

    `started` (callback), `finished` (callback, outcome), `header_tasks` (callback, name, event), `callbacks`
    (callback, event), `retries` (callback, name, role), `dropped` (reason), `evicted` (what: detail, summary, open).
    Histograms by callback: `duration`, `barrier`, `callback_wait`, `straggler`.
    """

    started: Mapping[str, int] = field(default_factory=dict)
    finished: Mapping[tuple[str, str], int] = field(default_factory=dict)
    header_tasks: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    callbacks: Mapping[tuple[str, str], int] = field(default_factory=dict)
    retries: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    evicted: Mapping[str, int] = field(default_factory=dict)
    histograms: Mapping[str, Mapping[str, Histogram]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """How the store itself is. `unreadable` counts keys that were corrupt, foreign or of another version, by kind."""

    bytes_used: int
    chords: int
    evicts: bool
    unreadable: Mapping[str, int] = field(default_factory=dict)


class Store(Protocol):
    """A store of chords. Methods may raise `UnreachableError`; a reader skips and counts what it cannot read."""

    def apply(self, batch: bytes) -> None:
        """Apply one batch of records (`chordwatch.recording.records`). Applying it again changes nothing."""

    def beat(self, heartbeat: Heartbeat, *, goodbye: bool = False) -> None:
        """Note that a worker lives, or that it says goodbye."""

    def get(self, id: str) -> RecordedChord | None:  # noqa: A002  # the contract's name
        """Return the chord with this group id, callback id or header task id, with its header."""

    def chords(self, chord_ids: Iterable[str]) -> Sequence[RecordedChord]:
        """Return those of the chords with these group ids that are recorded, in any order."""

    def open_chords(self, *, limit: int | None = None) -> Sequence[RecordedChord]:
        """Return chords that are open or planned, those without progress for longest first."""

    def finished_chords(self, *, limit: int | None = None) -> Sequence[RecordedChord]:
        """Return finished chords, newest first."""

    def open_counts(self) -> Mapping[str, tuple[int, float]]:
        """Return for each callback name how many chords are open, and when the oldest was opened."""

    def counters(self) -> Counters:
        """Return all counters and histograms."""

    def workers(self) -> Sequence[WorkerRecord]:
        """Return the workers that were seen within the last hour."""

    def state(self) -> StoreState:
        """Return how the store itself is."""

    def now(self) -> float:
        """Return the store's clock in Unix seconds."""

    def close(self) -> None:
        """Give connections back."""
