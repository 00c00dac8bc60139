"""The board and its rows: what is drawn, as plain values. Pure, standard library only.

Texts are other people's, of bounded length, and as hostile as they were: whoever draws them shows them literally.
Times are Unix seconds, None where nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from chordwatch.model import ChordState, Health

#: Who looked: a monitor, which asks the workers and judges over time, or this dashboard itself, for want of one.
Looker = Literal["monitor", "dashboard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChordRow:
    """One open chord. `callback` is its task's name, None where nobody knows.

    `cause` is the id of the first verdict that makes its health, as the alerts have it, None without one; `why` says it
    in a sentence, `remedy` what to do, `waits_for` where the missing tasks are. `queues` are those in which its tasks
    wait. `since`: when the cause began. `recovers_at`: when it ends.
    """

    chord_id: str
    callback: str | None
    state: ChordState
    health: Health
    size: int | None
    counted: int
    opened_at: float | None = None
    progressed_at: float | None = None
    cause: str | None = None
    certain: bool = True
    why: str = ""
    remedy: str = ""
    waits_for: str = ""
    queues: tuple[str, ...] = ()
    since: float | None = None
    recovers_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """One queue. `consumers` is None where no worker was asked, `oldest_at` when its oldest chord task was published.

    `stuck` is how many chords that will not finish by themselves wait on it.
    """

    name: str
    length: int
    unacked: int
    consumers: int | None
    oldest_at: float | None = None
    stuck: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """One worker as its heartbeats tell, or as it answered: `up` False when it vanished without a goodbye.

    `last_beat_at` is None of a worker that is not instrumented. `chord_tasks` are those it held then.
    """

    hostname: str
    up: bool
    last_beat_at: float | None = None
    chord_tasks: int = 0
    queues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The installation at one moment.

    `counts`: open chords by health, all of them, also those without a row; `beyond` more were too many to be read.
    `chords`: the worst first, and among equals those open for longest; there is a bound for those that are well, and
    one for the others. `finished`: how many chords ever ended, by outcome (succeeded, failed), None without a store.
    `instrumented`: whether any process records.
    `notes` are sentences about what was not seen; `partial`: the look ended on its time budget.
    `interval`: seconds until the next board is due.
    """

    taken_at: float
    looker: Looker
    interval: float
    counts: Mapping[Health, int] = field(default_factory=dict)
    chords: tuple[ChordRow, ...] = ()
    beyond: int = 0
    queues: tuple[QueueRow, ...] = ()
    workers: tuple[WorkerRow, ...] = ()
    finished: Mapping[str, int] | None = None
    instrumented: bool = False
    notes: tuple[str, ...] = ()
    partial: bool = False

    @property
    def stuck(self) -> int:
        """How many open chords will not finish by themselves."""
        return self.counts.get("hung", 0) + self.counts.get("looping", 0)
