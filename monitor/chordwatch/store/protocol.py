"""What a store can do, whichever it is: Redis in production, the in-memory twin in users' tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from chordwatch.model import Attempt, Chord
from chordwatch.recording.records import Heartbeat, Trace
from chordwatch.settings import DURATION_BUCKETS


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """A worker as its heartbeats tell: times are Unix seconds of the store's clock; `gone` after a goodbye."""

    heartbeat: Heartbeat
    first_beat_at: float
    last_beat_at: float
    gone: bool

    @property
    def clock_ahead(self) -> float:
        """By how many seconds the worker's clock, which its tasks' times are from, is ahead of the store's."""
        return 0.0 if self.heartbeat.at is None else self.heartbeat.at - self.last_beat_at


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedChord:
    """A chord as it was recorded, with what the contract's `Chord` has no place for.

    `chord` has no verdicts, health `ok` while it is open, `instrumented` True.
    `applied`: how often `_chord.run` dispatched it. `dispatch_error`: `(Unix seconds, error)` where one failed.
    `step_id`: the task that a callback of several has come to, None where nobody knows or it has not begun.
    `carrier_id`: the first task whose message was seen to carry the chord as a later step of its chain.
    `signature`: the callback's signature as msgpack, while the chord is open and `keep_callbacks` is on.
    `trace`: where its spans belong, None where no process traces it.
    `dynamic`: ids of parts added by `add_to_chord`. `etas`: latest known eta by task id.
    `callback_runs`: the runs of the callback's tasks by task id, oldest first, of those tasks alone that have several.
    `detail_dropped`: the size limit took the header's detail.
    """

    chord: Chord
    applied: int = 0
    dispatch_error: tuple[float, str] | None = None
    step_id: str | None = None
    carrier_id: str | None = None
    signature: bytes | None = None
    trace: Trace | None = None
    dynamic: tuple[str, ...] = ()
    etas: Mapping[str, float] = field(default_factory=dict)
    callback_runs: Mapping[str, tuple[Attempt, ...]] = field(default_factory=dict)
    detail_dropped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The chord of a task: its group id, and as what the task belongs to it.

    `index` is the task's place in the header (from 0), None of a callback and where it means nothing.
    `callback` is the name of the chord's callback, None while nobody knows it.
    """

    chord_id: str
    role: Literal["header", "callback"]
    index: int | None
    callback: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A chord with the verdicts that were found `at` a time (Unix seconds by the clock of whoever judged).

    As it is kept, `chord` has at most 1,000 tasks of the header, and no results.
    """

    chord: Chord
    at: float


class Judged(NamedTuple):
    """What a judgement changed: causes that are new or have another outcome than before, and causes that are gone."""

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class Exemplar(NamedTuple):
    """A chord that stands for its bucket, which the store counted `at` a time (Unix seconds), after so many seconds."""

    chord_id: str
    trace_id: int
    seconds: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Observations in seconds: how many in each bucket, and their sum.

    `bounds` are the buckets' upper bounds, inclusive. `counts` are not cumulative; their last is beyond all bounds.
    `exemplars`: the latest chord of each bucket that has one whose trace is exported, by the place of its count.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float
    exemplars: Mapping[int, Exemplar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Everything that only grows. Keys are label values in the order of the metric's contract.

    `started` (callback), `finished` (callback, outcome), `header_tasks` (callback, name, event), `callbacks`
    (callback, event), `retries` (callback, name, role), `dropped` (reason), `evicted` (what: detail, summary, open),
    `capped` (label: writes that counted a callback, or a task's name, as `other`),
    `verdicts` (callback, outcome, cause), `repeated` (callback: chords whose callback a monitor found to have started
    more than once in one attempt).
    Histograms by callback: `duration`, `barrier`, `callback_wait`, `straggler`; all have the `bounds` of the reader.
    """

    started: Mapping[str, int] = field(default_factory=dict)
    finished: Mapping[tuple[str, str], int] = field(default_factory=dict)
    header_tasks: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    callbacks: Mapping[tuple[str, str], int] = field(default_factory=dict)
    retries: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    evicted: Mapping[str, int] = field(default_factory=dict)
    capped: Mapping[str, int] = field(default_factory=dict)
    verdicts: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    repeated: Mapping[str, int] = field(default_factory=dict)
    histograms: Mapping[str, Mapping[str, Histogram]] = field(default_factory=dict)
    bounds: tuple[float, ...] = DURATION_BUCKETS


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

    def memberships(self, task_ids: Iterable[str]) -> Mapping[str, Membership]:
        """Return for those of these tasks that belong to a recorded chord which it is, and as what."""

    def open_chords(self, *, limit: int | None = None) -> Sequence[RecordedChord]:
        """Return chords that are open or planned, those without progress for longest first.

        As in every list, a header of more than 1,000 tasks may lack those that are counted, or be left out.
        """

    def finished_chords(self, *, limit: int | None = None) -> Sequence[RecordedChord]:
        """Return finished chords, newest first."""

    def open_counts(self) -> Mapping[str, tuple[int, float]]:
        """Return for each callback name how many chords are open, and when the oldest was opened."""

    def counters(self) -> Counters:
        """Return all counters and histograms."""

    def workers(self) -> Sequence[WorkerRecord]:
        """Return the workers that were seen within the last hour."""

    def connections(self) -> frozenset[tuple[str, str]] | None:
        """Return node and boot of the processes that are connected to the store; None where that cannot be read.

        A host that was cut off looks connected until TCP gives it up.
        """

    def judge(self, judgement: Judgement, *, keep: float) -> Judged:
        """Keep what was found of a chord for `keep` seconds, and return what changed: one of several callers is told.

        Each cause of a chord is counted once, and once that its callback ran twice. One without verdicts clears the
        chord's; one that comes late is ignored.
        """

    def judgements(self, chord_ids: Iterable[str]) -> Mapping[str, Judgement]:
        """Return the last judgement of those of the chords with these group ids that have verdicts."""

    def judged(self, limit: int) -> Sequence[Judgement]:
        """Return the last judgements of chords that have verdicts, newest first."""

    def judged_ids(self) -> Sequence[str]:
        """Return the group ids of chords that have verdicts, newest first."""

    def post(self, name: str, content: bytes, *, keep: float, only_new: bool = False) -> bool:
        """Keep `content` under a name for `keep` seconds, for other processes to read; return whether it was kept.

        With `only_new` the first of several callers wins: nothing is kept where the name has something.
        """

    def posted(self, names: Iterable[str]) -> Mapping[str, bytes]:
        """Return what is kept under those of these names that have something."""

    def state(self) -> StoreState:
        """Return how the store itself is."""

    def now(self) -> float:
        """Return the store's clock in Unix seconds."""

    def close(self) -> None:
        """Give connections back."""
