"""The links from a callback to the tasks of its header: to the last run of each, the worst first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from opentelemetry.trace import Link

from chordwatch.model import HeaderTask
from chordwatch.tracing.chord_trace import ChordTrace
from chordwatch.tracing.ids import process_span_id
from chordwatch.tracing.names import MESSAGE_ID
from chordwatch.tracing.told_spans import name_of, unpack_context


class LastRun(NamedTuple):
    """The last attempt of a header task; `redelivered`: it is not the first run of that attempt."""

    task_id: str
    retries: int
    nesting: int
    redelivered: bool

    @property
    def posted_name(self) -> str:
        """The name under which the context of its span is posted, where another instrumentation began it."""
        return name_of(self.task_id, self.retries, self.nesting)


def runs_to_link(header: Iterable[HeaderTask]) -> list[LastRun]:
    """Return the last run of each task that a worker began: those with failures first, then the slowest."""
    began = (task for task in header if task.task_id and task.started_at is not None)
    return [_last_run(task) for task in sorted(began, key=_worst_first)]


def link_to(run: LastRun, trace: ChordTrace) -> Link:
    """Return the link to a run of a chord with this trace."""
    span_id = process_span_id(run.task_id, run.retries, run.nesting, redelivered=run.redelivered)
    own = trace.own_of(run.task_id) if trace.split else trace
    return Link(own.context(span_id), {MESSAGE_ID: run.task_id})


def link_as_told(run: LastRun, contexts: Mapping[str, bytes]) -> Link | None:
    """Return the link to a run in another instrumentation's span, None where nobody posted its context."""
    context = unpack_context(contexts.get(run.posted_name, b""))
    return Link(context, {MESSAGE_ID: run.task_id}) if context is not None else None


def _worst_first(task: HeaderTask) -> tuple[bool, float]:
    untroubled = task.state == "succeeded" and len(task.attempts) == 1
    began = task.published_at if task.published_at is not None else task.started_at or 0.0
    return untroubled, began - (task.finished_at if task.finished_at is not None else began)


def _last_run(task: HeaderTask) -> LastRun:
    """Return the last run; what comes twice was delivered again, if it was not replaced."""
    retries, nesting, redelivered, before = 0, 0, False, None
    for run in task.attempts:
        if before is not None and before.state == "ignored":
            nesting, redelivered = nesting + 1, False
        else:
            redelivered = before is not None and run.attempt == before.attempt
        retries, before = run.attempt, run
    return LastRun(task.task_id or "", retries, nesting, redelivered)
