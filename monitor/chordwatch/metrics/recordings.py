"""The recording rules: what the alerts share, and the worker time that barriers waste. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from chordwatch.metrics.promql import duration, greatest, metric
from chordwatch.metrics.thresholds import Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording rule; `comment` stands above it in the file."""

    record: str
    expr: str
    comment: str


SIGHT = "job:chordwatch_sight:count"
SIGHT_LOST = "job:chordwatch_sight_lost:count"
MONITORS = "job:chordwatch_monitors:count"
WRONG = "job:celery_chord_wrong_results:total"
#: Gauges whose last values are held, and by which labels.
_HELD = {
    "celery_chord_unhealthy": "job, callback, health, cause",
    "celery_queue_length": "job, queue_name",
    "celery_active_consumer_count": "job, queue_name",
    "celery_chord_oldest_queued_timestamp_seconds": "job, queue_name",
    "celery_worker_up": "job, hostname",
    "celery_worker_chord_tasks": "job, hostname",
}
_WHY_HELD = """\
The gauges that alerts read, each as it is seen now, else as it was when sight was lost.
So a monitor that restarts neither ends an alert nor begins its `for` anew."""


def held(name: str, **matchers: str) -> str:
    """Return the selector of a gauge that is held while nobody sees anything."""
    return f"job:{name}:held{metric(name, **matchers).removeprefix(name)}"


def sight(at: Thresholds) -> tuple[Recording, ...]:
    """Return what tells whether any monitor of an installation sees it."""
    return (
        Recording(
            record=SIGHT,
            comment="How many monitors of a job see the chords now: their last look succeeded, and is not old.",
            expr=f"""\
count by (job) (
  ({metric("chordwatch_broker_up")} == 1 or {metric("chordwatch_backend_up")} == 1)
  unless {metric("chordwatch_store_up")} == 0
)""",
        ),
        Recording(
            record=SIGHT_LOST,
            comment=f"Jobs of which no monitor sees anything now, and one did less than {duration(at.hold)} ago.",
            expr=f"last_over_time({SIGHT}[{duration(at.hold)}]) unless {SIGHT}",
        ),
    )


def holding() -> tuple[Recording, ...]:
    """Return the gauges that alerts read, which keep their last value while sight is lost.

    Each refers to its own last result.
    """
    first, *_ = _HELD
    return tuple(
        Recording(
            record=held(name),
            comment=_WHY_HELD if name == first else "",
            expr=f"{greatest(labels, metric(name))}\nor\n{held(name)} and on (job) {SIGHT_LOST}",
        )
        for name, labels in _HELD.items()
    )


def wrong_results() -> Recording:
    """Return the chords with a wrong result so far, by callback and cause."""
    early = metric("celery_chord_verdicts_total", cause="callback_fired_early")
    repeated = greatest("job, callback", metric("celery_chord_callback_repeats_total"))
    return Recording(
        record=WRONG,
        comment="Chords whose callback started before all parts had ended, or ran twice.",
        expr=f"""\
{greatest("job, callback, cause", early)}
or
label_replace({repeated}, "cause", "duplicate_delivery", "", "")""",
    )


def wasted(at: Thresholds) -> Recording:
    """Return the estimate of the worker time that barriers waste."""
    straggler = "celery_chord_straggler_seconds"
    rate = f"rate({metric(f'{straggler}_sum')}[{duration(at.waste_window)}])"
    header = greatest("job, callback, name", metric("celery_chord_header_tasks_total", event="succeeded"))
    chords = greatest("job, callback", metric(f"{straggler}_count"))
    return Recording(
        record="job:celery_chord_barrier_wasted_seconds:rate",
        comment="""\
Worker time that barriers waste by callback, in seconds per second: 2 is the time of two workers.
When the median header task of a chord ends, half of them have ended, and each of these waits for the last one as long
as the chord's straggler time, or longer. So half the header tasks of a chord (the average since the counters began),
times the straggler time, is the least that finished work has waited. It is no measure of idle processes.""",
        expr=f"""\
{greatest("job, callback", rate)}
* sum by (job, callback) ({header})
/ clamp_min({chords}, 1)
/ 2""",
    )


def monitors() -> Recording:
    """Return how many monitors of a job are scraped."""
    return Recording(
        record=MONITORS,
        comment="How many monitors of a job answer Prometheus, whatever they see.",
        expr=f"count by (job) ({metric('chordwatch_internal_errors_total', where='look')})",
    )
