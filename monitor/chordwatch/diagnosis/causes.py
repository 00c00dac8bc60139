"""The catalogue of causes: outcome and remedy of each. `docs/causes.md` has a section for every one."""

from __future__ import annotations

from dataclasses import dataclass

from chordwatch.model import Outcome

DOCS = "docs/causes.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause. Its id is what scripts, alerts and the docs call it."""

    id: str
    outcome: Outcome
    remedy: str

    @property
    def docs(self) -> str:
        """Where the docs describe it."""
        return f"{DOCS}#{self.id}"


_ALL = (
    Cause(
        id="queue_unconsumed",
        outcome="hung",
        remedy="Start a worker that reads the queue (celery -A proj worker -Q QUEUE), or mend task_routes so that "
        "the tasks go to a queue that is read.",
    ),
    Cause(
        id="callback_queue_unconsumed",
        outcome="hung",
        remedy="Start a worker that reads the queue (celery -A proj worker -Q QUEUE), or mend task_routes so that "
        "the callback goes to a queue that is read.",
    ),
    Cause(
        id="no_workers",
        outcome="hung",
        remedy="Start the workers; the messages wait in the broker and are then taken.",
    ),
    Cause(
        id="header_failed",
        outcome="failed",
        remedy="Mend the task, then send the chord again. To let the callback run on partial results, catch the "
        "error in the header task and return a value; to be told, link an errback (chord.on_error).",
    ),
    Cause(
        id="callback_failed",
        outcome="failed",
        remedy="Mend the callback. The header's results are stored until they expire: "
        "celery -A proj chords results ID.",
    ),
    Cause(
        id="retry_scheduled",
        outcome="waiting",
        remedy="Nothing to do if the wait is meant. The visibility timeout of the broker must be longer than it.",
    ),
    Cause(
        id="eta_scheduled",
        outcome="waiting",
        remedy="Nothing to do if the wait is meant. The visibility timeout of the broker must be longer than it.",
    ),
    Cause(
        id="queued",
        outcome="waiting",
        remedy="Nothing to do while the queue moves; more workers or concurrency on it shorten the wait.",
    ),
    Cause(
        id="header_running",
        outcome="ok",
        remedy="Nothing to do. A time limit (task_time_limit) ends a task that runs for ever.",
    ),
)

CAUSES = {cause.id: cause for cause in _ALL}
