"""What the doctor finds, as the terminal and dashboards show it: its findings with what they stand on."""

from __future__ import annotations

import time
from dataclasses import dataclass

from celery import Celery

from chordwatch.diagnosis.wording import plural
from chordwatch.doctor.examine import examine
from chordwatch.doctor.finding import Finding
from chordwatch.doctor.gather import gather
from chordwatch.doctor.project import known_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """The findings at one moment (`taken_at`, Unix seconds), the worst first; hostile texts are among them.

    They stand on so many `tasks` of this process's project, so many recorded `chords`, and so many `workers` that
    answered, None where they could not be asked. `gaps` are sentences about what was not looked at, `unreachable` about
    servers that do not answer.
    """

    taken_at: float
    findings: tuple[Finding, ...]
    tasks: int
    chords: int
    workers: int | None
    gaps: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()

    @property
    def basis(self) -> str:
        """On how much the findings stand, in a sentence: a healthy word on nothing looked at would be none."""
        asked = (
            "workers were not asked" if self.workers is None else f"{plural(self.workers, 'worker')} answered"
        )
        tasks, chords = plural(self.tasks, "task"), plural(self.chords, "recorded chord")
        return f"Looked at {tasks} of this project and {chords}; {asked}."


def examination_of(app: Celery) -> Examination:
    """Ask the doctor about the app's installation; takes a few seconds, as workers are given time to answer.

    Raises:
        SettingError: one of chordwatch's settings cannot be used.
        UnsupportedError: nothing can be made of the broker's URL for writing.
    """
    gathered = gather(app)
    facts = gathered.facts
    return Examination(
        taken_at=time.time(),
        findings=tuple(examine(facts, known_settings())),
        tasks=len(facts.tasks),
        chords=facts.observed.chords,
        workers=None if facts.workers is None else len(facts.workers),
        gaps=gathered.gaps,
        unreachable=gathered.unreachable,
    )
