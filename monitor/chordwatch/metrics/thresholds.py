"""When alerts fire: every number and every duration of the rules, with what it means. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def _set(default: float, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Durations are seconds, shares are of 1. `meaning` in a field's metadata is its sentence of the docs."""

    hung_for: float = _set(60, "A chord is hung for so long before `CeleryChordHung` fires.")
    looping_for: float = _set(300, "A chord loops for so long before `CeleryChordLooping` fires.")
    late_for: float = _set(600, "A chord is late for so long before `CeleryChordLate` fires.")
    unhealthy_keep: float = _set(
        180,
        "Alerts on hung, looping and late chords fire for so long after the last sign of one: "
        "a restarted monitor takes up to 150 seconds to find again what it had found.",
    )
    wrong_result_window: float = _set(
        3600, "`CeleryChordWrongResult` fires for so long after a wrong result."
    )
    failure_window: float = _set(1800, "`CeleryChordFailureRate` counts the chords that ended in so long.")
    failure_share: float = _set(0.1, "`CeleryChordFailureRate` fires when a greater share of these failed.")
    failures_least: float = _set(3, "`CeleryChordFailureRate` fires when at least so many failed.")
    retry_window: float = _set(600, "`CeleryChordRetryStorm` counts the runs that began in so long.")
    retry_share: float = _set(
        0.5, "`CeleryChordRetryStorm` fires when a greater share of these ended in a retry."
    )
    retries_least: float = _set(20, "`CeleryChordRetryStorm` fires when at least so many ended in a retry.")
    unconsumed_for: float = _set(
        120, "A queue has messages and no worker for so long before `CeleryQueueWithoutConsumer` fires."
    )
    backlog_age: float = _set(600, "A queue has a backlog when a task of a chord waits in it for longer.")
    backlog_for: float = _set(300, "A queue has a backlog for so long before `CeleryQueueBacklog` fires.")
    worker_down_for: float = _set(
        60, "A worker's heartbeats are missing for so long before `CeleryWorkerDown` fires."
    )
    blind_for: float = _set(120, "Nothing is seen for so long before `ChordwatchBlind` fires.")
    blind_keep: float = _set(120, "`ChordwatchBlind` fires for so long after chords are seen again.")
    scan_age: float = _set(120, "The monitor's last look is stale when it is older.")
    remembered: float = _set(86400, "A monitor that is gone is missed for so long.")
    dropped_window: float = _set(
        900, "`ChordwatchDroppingRecords` fires for so long after a record was lost."
    )
    hold: float = _set(
        300, "What was seen last is taken to be so still while no monitor sees anything, for so long at most."
    )
    waste_window: float = _set(1800, "The worker time that barriers waste is averaged over so long.")
