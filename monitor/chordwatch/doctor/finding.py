"""What the doctor says: one hazard, where it is, why it is one and how to end it. Pure, standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One hazard. `error` is only what will certainly hang or lose chords.

    `rule` is its name in docs/doctor.md; `where` a setting, a process, a queue or `path:line`. Texts may hold what
    other people's systems say: escape them where they are shown.
    """

    rule: str
    severity: Severity
    where: str
    reason: str
    fix: str
