"""When each alert holds, in PromQL. Pure.

Gauges are held (see `recordings`); counters are asked how they grew, which a gap in their series does not change.
The greatest of several monitors of one job is taken before anything is summed, so that nothing counts twice.
"""

from __future__ import annotations

from chordwatch.metrics.promql import duration, greatest, metric, number
from chordwatch.metrics.recordings import MONITORS, SIGHT, WRONG, held
from chordwatch.metrics.thresholds import Thresholds

_UNREAD = f"{held('celery_active_consumer_count')} == 0"


def unhealthy(health: str) -> str:
    """Chords of this health, by callback and cause."""
    return f"sum by (job, callback, cause) ({held('celery_chord_unhealthy', health=health)}) > 0"


def wrong_result(at: Thresholds) -> str:
    """Chords of the window with a wrong result, by callback and cause.

    A counter that was not there before the window grew from 0, if its installation was seen before the window.
    """
    window = duration(at.wrong_result_window)
    return f"""\
(
  {WRONG} > 0
  unless last_over_time({WRONG}[{window}] offset {window})
  and on (job) last_over_time({SIGHT}[{duration(at.hold)}] offset {window})
)
or
round(increase({WRONG}[{window}])) > 0"""


def failure_share(at: Thresholds) -> str:
    """The share of failed chords among those that ended, by callback."""
    failed, succeeded = (
        _grown("job, callback", metric("celery_chord_finished_total", outcome=outcome), at.failure_window)
        for outcome in ("failed", "succeeded")
    )
    return f"""\
{failed}
/ (
  {failed}
  + {succeeded}
)
> {number(at.failure_share)}
and round({failed}) >= {number(at.failures_least)}"""


def retry_share(at: Thresholds) -> str:
    """The share of runs that ended in a retry, by callback and task; the callback's own runs are under its name."""
    labels, window = "job, callback, name", at.retry_window
    retries = _grown(labels, metric("celery_chord_retries_total"), window)
    header = _grown(labels, metric("celery_chord_header_tasks_total", event="started"), window)
    callbacks = _grown("job, callback", metric("celery_chord_callbacks_total", event="started"), window)
    return f"""\
{retries}
/ (
  {header}
  or
  label_replace({callbacks}, "name", "$1", "callback", "(.*)")
)
> {number(at.retry_share)}
and round({retries}) >= {number(at.retries_least)}"""


def without_consumer() -> str:
    """Messages in queues that no worker reads."""
    return f"{held('celery_queue_length')} > 0\nand {_UNREAD}"


def backlog(at: Thresholds) -> str:
    """The age in seconds of the oldest chord message in queues that workers read."""
    oldest = held("celery_chord_oldest_queued_timestamp_seconds")
    return f"time() - {oldest} > {number(at.backlog_age)}\nunless {_UNREAD}"


def worker_down() -> str:
    """Chord tasks that vanished workers held."""
    return f"{held('celery_worker_chord_tasks')} > 0\nand {held('celery_worker_up')} == 0"


def no_monitor(at: Thresholds) -> str:
    """Monitors that were there and are gone, by job; without a job, that none is or was there at all."""
    remembered = f"{MONITORS}[{duration(at.remembered)}]"
    return f"last_over_time({remembered}) unless {MONITORS}\nor\nabsent_over_time({remembered})"


def stale_scan(at: Thresholds) -> str:
    """Monitors that run and finish no look, though nobody says that a server does not answer."""
    scan = greatest("job", metric("chordwatch_scan_timestamp_seconds"))
    return f"""\
{MONITORS}
unless time() - {scan} < {number(at.scan_age)}
unless {unreachable("broker", at)}
unless {unreachable("backend", at)}"""


def unreachable(server: str, at: Thresholds) -> str:
    """Installations of which no monitor reaches a server; a gap in the series changes nothing."""
    up = metric(f"chordwatch_{server}_up")
    return f"{greatest('job', f'last_over_time({up}[{duration(at.hold)}])')} == 0"


def dropped(at: Thresholds) -> str:
    """Records that were lost in the window, by reason."""
    return (
        f"round({_grown('job, reason', metric('chordwatch_records_dropped_total'), at.dropped_window)}) > 0"
    )


def _grown(labels: str, counter: str, window: float) -> str:
    return greatest(labels, f"increase({counter}[{duration(window)}])")
