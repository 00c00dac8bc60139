"""The catalogue of causes, in the order of `docs/causes.md`, which is made from it."""

from __future__ import annotations

from chordwatch.diagnosis.causes import (
    failed,
    messages,
    polling,
    remarks,
    routing,
    running,
    state,
    tasks,
    waiting,
    workers,
)
from chordwatch.diagnosis.causes.cause import DOCS, Cause

__all__ = ["CAUSES", "DOCS", "REMARKS", "Cause"]

_ALL: tuple[Cause, ...] = (
    *workers.CAUSES,
    *routing.CAUSES,
    *messages.CAUSES,
    *tasks.CAUSES,
    *state.CAUSES,
    *failed.CAUSES,
    *running.LOOPING,
    *polling.LOOPING,
    *running.LATE,
    *waiting.LATE,
    *waiting.CAUSES,
    *running.CAUSES,
    *remarks.CAUSES,
)
CAUSES = {cause.id: cause for cause in _ALL}
#: What is worth knowing and no fault: the ids of such causes, in the order of the catalogue.
REMARKS = tuple(cause.id for cause in _ALL if cause.outcome == "ok" and not cause.explains)
