"""Why a chord is as it is. Pure: a case in, verdicts out; no I/O, no clock."""

from __future__ import annotations

from dataclasses import replace

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.causes import CAUSES
from chordwatch.diagnosis.rules import RULES
from chordwatch.model import OUTCOMES, Verdict

__all__ = ["Case", "diagnose"]


def diagnose(case: Case) -> tuple[Verdict, ...]:
    """Return what holds the chord: the worst outcome first, within it the root cause; empty where none is named."""
    for rule in RULES:
        for verdict in rule(case):
            explains = verdict.certain and CAUSES[verdict.cause].explains
            explained = case.explained.union(verdict.tasks) if explains else case.explained
            case = replace(case, explained=explained, found=(*case.found, verdict))
    return tuple(sorted(case.found, key=lambda verdict: OUTCOMES.index(verdict.outcome)))
