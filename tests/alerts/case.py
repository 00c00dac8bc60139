"""What a case of an alert is: recorded series on promtool's clock, and which alerts must be there when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tests.alerts.timeline import Timeline

#: fires: the fault was there. silent: all was well, or nearly. vanishes: the series went away.
#: doubled: several monitors or installations.
Kind = Literal["fires", "silent", "vanishes", "doubled"]
CAUSES = "https://github.com/chordwatch/chordwatch/blob/main/docs/causes.md"
ALERTS = "https://github.com/chordwatch/chordwatch/blob/main/docs/alerts.md"
DASHBOARD = "http://127.0.0.1:8501"
#: Seconds between two evaluations of the rules; scrapes come more often.
EVALUATED = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert as somebody receives it; `job` is added to the labels where it has one."""

    name: str
    labels: Mapping[str, str]
    summary: str
    description: str
    runbook: str
    dashboard: str
    job: str | None = "chords"

    def document(self) -> dict[str, dict[str, str]]:
        """Return it as promtool expects it."""
        own = {"summary": self.summary, "description": self.description}
        links = {"runbook_url": self.runbook, "dashboard_url": self.dashboard}
        labels = {**self.labels, **({"job": self.job} if self.job else {})}
        return {"exp_labels": labels, "exp_annotations": {**own, **links}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Exactly these alerts of one name fire so many seconds after a moment."""

    moment: str
    after: float
    name: str
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A monitor that is scraped."""

    timeline: Timeline
    job: str = "chords"
    instance: str = "monitor:9809"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test of an alert. Moments are those of the first target's timeline."""

    alert: str
    kind: Kind
    what: str
    targets: tuple[Target, ...]
    checks: tuple[Check, ...]

    def title(self) -> str:
        """Return what the test is called: what was done to the recordings is said."""
        scenes = dict.fromkeys(target.timeline.recording.scene for target in self.targets)
        notes = dict.fromkeys(note for target in self.targets for note in target.timeline.notes)
        return f"{self.kind}: {self.what} (recorded: {', '.join(scenes)}{''.join(f'; {note}' for note in notes)})"


def one(timeline: Timeline) -> tuple[Target, ...]:
    """Return the only target."""
    return (Target(timeline=timeline),)


def two_monitors(timeline: Timeline) -> tuple[Target, ...]:
    """Return two monitors of one installation that see the same."""
    return (Target(timeline=timeline), Target(timeline=timeline, instance="monitor-2:9809"))


def two_jobs(timeline: Timeline) -> tuple[Target, ...]:
    """Return the monitors of two installations in which the same happens."""
    return (Target(timeline=timeline), Target(timeline=timeline, job="others", instance="others:9809"))


def about_to_fire(short: Timeline, begun: str, ended: str, wait: float) -> Timeline:
    """Return a scene in which the monitor is away from 20 s before the alert is due until 40 s after that."""
    more = wait - 20 - (short.seconds(ended) - short.seconds(begun))
    return short.held(ended, max(0.0, more)).dead(ended, 60, then=wait)


def evaluated(seconds: float) -> float:
    """Return when the rules were evaluated last, so many seconds from the start."""
    return seconds // EVALUATED * EVALUATED


def firing(moment: str, after: float, *alerts: Alert) -> Check:
    """Expect these alerts, all of one name."""
    return Check(moment=moment, after=after, name=alerts[0].name, alerts=alerts)


def quiet(name: str, moment: str, after: float) -> Check:
    """Expect no alert of this name."""
    return Check(moment=moment, after=after, name=name)


def never(name: str, timeline: Timeline, every: int = 15) -> tuple[Check, ...]:
    """Expect no alert of this name at any time, as far as a look every so many seconds tells."""
    times = range(0, int(timeline.end) + 1, every)
    return tuple(Check(moment="start", after=float(seconds), name=name) for seconds in times)


def silent(name: str, what: str, timeline: Timeline) -> Case:
    """Return the case of an alert that must not fire."""
    return Case(alert=name, kind="silent", what=what, targets=one(timeline), checks=never(name, timeline))
