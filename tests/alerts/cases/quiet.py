"""What alerts nobody: health, a scale-in, a rolling restart, and of a monitor's restart only what was wrong before."""

from __future__ import annotations

from tests.alerts.case import Case, never, one
from tests.alerts.timeline import recorded

ALL = (
    "CeleryChordHung",
    "CeleryChordWrongResult",
    "CeleryChordLooping",
    "CeleryChordLate",
    "CeleryChordFailureRate",
    "CeleryChordRetryStorm",
    "CeleryQueueWithoutConsumer",
    "CeleryQueueBacklog",
    "CeleryWorkerDown",
    "ChordwatchBlind",
    "ChordwatchDroppingRecords",
)
WRONG_BEFORE = ("CeleryChordHung", "CeleryWorkerDown")
_AFTERWARDS = 900.0
"""Seconds for which what was seen last is held, so that no alert was only pending."""


def silence(scene: str, alerts: tuple[str, ...]) -> Case:
    """Return the case in which none of these fires."""
    timeline = recorded(scene).held("end", _AFTERWARDS)
    checks = tuple(check for name in alerts for check in never(name, timeline, every=60))
    return Case(
        alert="Quiet", kind="silent", what=scene.replace("_", " "), targets=one(timeline), checks=checks
    )


CASES = (
    *(silence(scene, ALL) for scene in ("healthy", "scale_in", "rolling_restart")),
    silence("monitor_restarted", tuple(name for name in ALL if name not in WRONG_BEFORE)),
)
