"""The chord as every surface shows it: terminal, JSON, HTTP, dashboard.

Pure values, standard library only, usable in any process.
The field names and their order are a contract with users' scripts; times are Unix seconds or None.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

TaskState = Literal[
    "published",
    "received",
    "started",
    "retrying",
    "succeeded",
    "failed",
    "revoked",
    "rejected",
    "ignored",
    "unknown",
]
ChordState = Literal["planned", "open", "succeeded", "failed", "aborted"]
Outcome = Literal["hung", "looping", "failed", "late", "waiting", "ok"]
Health = Literal["ok", "waiting", "late", "looping", "hung", "failed", "done"]

#: Worst first: an open chord has the worst of its verdicts' outcomes as its health.
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
HEALTHS: tuple[Health, ...] = get_args(Health)
FINISHED: frozenset[ChordState] = frozenset({"succeeded", "failed", "aborted"})

#: An error is stored and shown as its type and at most so many characters of its text.
ERROR_LENGTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of a task; `attempt` counts from 0, as Celery's `retries` does.

    Times are Unix seconds by the clock of the process that noted them. Celery signals a message when it is sent, and
    a part's end when it is counted and the callback sent: some milliseconds late, so that the next process may have
    begun, and a quick callback ended, before them.
    """

    attempt: int
    state: TaskState = "unknown"
    worker: str | None = None
    published_at: float | None = None
    received_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """The chord's body: what runs when every part of the header is counted."""

    task_id: str | None = None
    name: str | None = None
    state: TaskState = "unknown"
    queue: str | None = None
    worker: str | None = None
    attempt: int | None = None
    published_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderTask:
    """One part of the header. `counted` says whether Celery has counted it towards the barrier."""

    index: int | None
    task_id: str | None = None
    name: str | None = None
    state: TaskState = "unknown"
    queue: str | None = None
    worker: str | None = None
    attempt: int | None = None
    published_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    counted: bool = False
    error: str | None = None
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPart:
    """A part that is not counted, with what is known of it; `index` is None where it means nothing."""

    index: int | None
    task_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Errback:
    """A task linked to the chord's failure."""

    task_id: str | None = None
    name: str | None = None
    state: TaskState = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why a chord is as it is: one cause, and what it was decided from.

    `certain` is False where the evidence cannot exclude another reading; `question` then asks what would
    decide. `recovers_at` (Unix seconds) is None where no moment can be computed.
    """

    cause: str
    outcome: Outcome
    certain: bool
    tasks: tuple[str, ...]
    summary: str
    evidence: tuple[str, ...]
    remedy: str
    question: str | None = None
    since: float | None = None
    recovers_at: float | None = None
    docs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chord:
    """One chord. `size` is None where it is not known; `counted` counts parts as Celery counts them."""

    chord_id: str
    state: ChordState
    health: Health
    size: int | None
    counted: int
    missing: tuple[MissingPart, ...]
    callback: Callback
    header: tuple[HeaderTask, ...]
    errbacks: tuple[Errback, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    opened_at: float | None = None
    progressed_at: float | None = None
    finished_at: float | None = None
    evidence_expires_at: float | None = None
    root_id: str | None = None
    parent_id: str | None = None
    namespace: str = "default"
    version: int = 1
    instrumented: bool = False


def health_of(state: ChordState, verdicts: tuple[Verdict, ...]) -> Health:
    """Return the health of a chord in `state` with these `verdicts`: the worst outcome while it is open."""
    if state == "succeeded":
        return "done"
    if state in FINISHED:
        return "failed"
    outcomes = {verdict.outcome for verdict in verdicts}
    return next((outcome for outcome in OUTCOMES if outcome in outcomes), "ok")


def to_json(chord: Chord, *, header: bool) -> dict[str, Any]:
    """Return the chord as a JSON-ready dict, without its `header` in lists."""
    if header:
        return asdict(chord)
    document = asdict(replace(chord, header=()))  # before the copy: a header may have 100,000 tasks
    del document["header"]
    return document
