"""Every metric that the monitor serves: families, docs, alert rules and dashboards take names and words from here.

Pure values. Names and labels are a contract with users' rules and dashboards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from chordwatch.diagnosis.causes import CAUSES
from chordwatch.model import OUTCOMES

Kind = Literal["counter", "gauge", "histogram"]
#: recorded: what the store keeps. seen: what the last look found. monitor: how the monitor itself is.
Section = Literal["recorded", "seen", "monitor"]

_EVENTS = ("published", "started", "succeeded", "failed", "retried", "revoked", "rejected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric by its full exposed name, a counter's with `_total`; `values` are those of labels that have few.

    Each label of `labels` stands in every series, in this order.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    section: Section


_RECORDED = (
    Metric(
        name="celery_chord_started_total",
        kind="counter",
        help="Chords whose header was published.",
        labels=("callback",),
        section="recorded",
    ),
    Metric(
        name="celery_chord_finished_total",
        kind="counter",
        help="Chords that ended.",
        labels=("callback", "outcome"),
        values={"outcome": ("succeeded", "failed", "aborted")},
        section="recorded",
    ),
    Metric(
        name="celery_chord_header_tasks_total",
        kind="counter",
        help="What happened to header tasks.",
        labels=("callback", "name", "event"),
        values={"event": _EVENTS},
        section="recorded",
    ),
    Metric(
        name="celery_chord_callbacks_total",
        kind="counter",
        help="What happened to callbacks.",
        labels=("callback", "event"),
        values={"event": _EVENTS},
        section="recorded",
    ),
    Metric(
        name="celery_chord_retries_total",
        kind="counter",
        help="Runs that ended in a retry.",
        labels=("callback", "name", "role"),
        values={"role": ("header", "callback")},
        section="recorded",
    ),
    Metric(
        name="celery_chord_callback_repeats_total",
        kind="counter",
        help="Chords whose callback was found to have started more than once in one attempt.",
        labels=("callback",),
        section="recorded",
    ),
    Metric(
        name="celery_chord_duration_seconds",
        kind="histogram",
        help="First header task published until the callback finished.",
        labels=("callback",),
        section="recorded",
    ),
    Metric(
        name="celery_chord_barrier_seconds",
        kind="histogram",
        help="First header task published until the last one was counted.",
        labels=("callback",),
        section="recorded",
    ),
    Metric(
        name="celery_chord_callback_wait_seconds",
        kind="histogram",
        help="Last header task counted until the callback started.",
        labels=("callback",),
        section="recorded",
    ),
    Metric(
        name="celery_chord_straggler_seconds",
        kind="histogram",
        help="Median finish of the header tasks until the last one's.",
        labels=("callback",),
        section="recorded",
    ),
    Metric(
        name="celery_chord_verdicts_total",
        kind="counter",
        help="Causes that a monitor found, also remarks: each once for a chord, however often it comes and goes.",
        labels=("callback", "outcome", "cause"),
        values={"outcome": OUTCOMES, "cause": tuple(CAUSES)},
        section="recorded",
    ),
    Metric(
        name="celery_worker_up",
        kind="gauge",
        help="1 while an instrumented worker's heartbeat is fresh, else 0. A worker that said goodbye has no series.",
        labels=("hostname",),
        section="recorded",
    ),
    Metric(
        name="celery_worker_chord_tasks",
        kind="gauge",
        help="Chord tasks that a worker ran or held for later at its last heartbeat. Series as of celery_worker_up.",
        labels=("hostname",),
        section="recorded",
    ),
    Metric(
        name="chordwatch_store_bytes",
        kind="gauge",
        help="What the records take in the store's Redis.",
        section="recorded",
    ),
    Metric(
        name="chordwatch_records_dropped_total",
        kind="counter",
        help="Records that were lost.",
        labels=("reason",),
        values={"reason": ("overflow", "refused", "internal", "unreadable", "corrupt", "version")},
        section="recorded",
    ),
    Metric(
        name="chordwatch_labels_capped_total",
        kind="counter",
        help="Writes to the store that counted something as `other`, as there were more names than labels may have.",
        labels=("label",),
        values={"label": ("callback", "name")},
        section="recorded",
    ),
)

_SEEN = (
    Metric(
        name="celery_chord_open",
        kind="gauge",
        help="Chords that are not finished. One that is still ahead in a chain is not open yet.",
        labels=("callback",),
        section="seen",
    ),
    Metric(
        name="celery_chord_oldest_open_timestamp_seconds",
        kind="gauge",
        help="Unix time at which the oldest open chord was opened.",
        labels=("callback",),
        section="seen",
    ),
    Metric(
        name="celery_chord_unhealthy",
        kind="gauge",
        help="Open chords that are late, looping or hung, each once, under the first verdict that says so.",
        labels=("callback", "health", "cause"),
        values={"health": ("late", "looping", "hung"), "cause": tuple(CAUSES)},
        section="seen",
    ),
    Metric(
        name="celery_chord_oldest_queued_timestamp_seconds",
        kind="gauge",
        help="Unix time at which the recorded message of a chord was published that has waited longest in a queue.",
        labels=("queue_name",),
        section="seen",
    ),
    Metric(
        name="celery_queue_length",
        kind="gauge",
        help="Messages that wait in a queue, all priorities.",
        labels=("queue_name",),
        section="seen",
    ),
    Metric(
        name="celery_queue_unacked",
        kind="gauge",
        help="Messages that are delivered and not yet acknowledged.",
        labels=("queue_name",),
        section="seen",
    ),
    Metric(
        name="celery_active_consumer_count",
        kind="gauge",
        help="Workers that say they read a queue.",
        labels=("queue_name",),
        section="seen",
    ),
)

_MONITOR = (
    Metric(
        name="chordwatch_store_up",
        kind="gauge",
        help="Whether the store answered at the last look. Absent where the settings lead to no store.",
        section="monitor",
    ),
    Metric(
        name="chordwatch_broker_up",
        kind="gauge",
        help="Whether the broker answered at the last look. Absent where that look did not ask it.",
        section="monitor",
    ),
    Metric(
        name="chordwatch_backend_up",
        kind="gauge",
        help="Whether the result backend answered at the last look. Absent where that look did not ask it.",
        section="monitor",
    ),
    Metric(
        name="chordwatch_scan_timestamp_seconds",
        kind="gauge",
        help="Unix time of the last finished look.",
        section="monitor",
    ),
    Metric(
        name="chordwatch_scan_duration_seconds",
        kind="gauge",
        help="How long the last look took.",
        section="monitor",
    ),
    Metric(
        name="chordwatch_internal_errors_total",
        kind="counter",
        help="What should not happen in the monitor itself.",
        labels=("where",),
        values={"where": ("look", "judge", "post", "spans", "webhook")},
        section="monitor",
    ),
)

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in (*_RECORDED, *_SEEN, *_MONITOR)}
