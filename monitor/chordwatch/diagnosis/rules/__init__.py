"""One function per cause: each looks for its own sign and says nothing without it. Pure.

`RULES` stand in the order in which a person should read the answers: what never ends by itself first, the root of it
before its consequences. A rule sees which tasks the rules before it have explained (`Case.explained`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.rules import (
    candidates,
    delivered,
    failed,
    messages,
    polling,
    pools,
    remarks,
    routing,
    running,
    state,
    tasks,
    waiting,
    workers,
)
from chordwatch.model import Verdict

Rule = Callable[[Case], Iterator[Verdict]]

RULES: tuple[Rule, ...] = (
    *tasks.INNER,
    *workers.RULES,
    *pools.RULES,
    *routing.RULES,
    *polling.RULES,
    *messages.RULES,
    *tasks.RULES,
    *state.RULES,
    *failed.RULES,
    *running.LOOPING,
    *polling.LOOPING,
    *running.LATE,
    *delivered.LATE,
    *waiting.LATE,
    *delivered.WAITING,
    *waiting.RULES,
    *running.RULES,
    *candidates.RULES,
    *remarks.RULES,
)
