"""Queries for people who ask Prometheus, as the docs show them. Pure values.

Two monitors of one installation serve the same numbers under one `job`: every query takes the larger one before it
adds up, so that nothing doubles.
"""

from __future__ import annotations

from typing import NamedTuple


class Query(NamedTuple):
    """What one wants to know, what is to be said about the answer, and the PromQL that gives it."""

    question: str
    note: str
    promql: str


QUERIES = (
    Query(
        "How many chords hang, and why?",
        "One series for each cause; nothing hangs where there is none.",
        'sum by (job, cause) (max by (job, callback, cause) (celery_chord_unhealthy{health="hung"}))',
    ),
    Query(
        "How many chords are open?",
        "",
        "sum by (job) (max by (job, callback) (celery_chord_open))",
    ),
    Query(
        "For how many seconds has the oldest open chord of each callback been open?",
        "",
        "time() - min by (job, callback) (celery_chord_oldest_open_timestamp_seconds)",
    ),
    Query(
        "How long do chords take? The 95th percentile in seconds",
        "As exact as the buckets are fine: see `chordwatch_duration_buckets` in the [settings](settings.md).",
        "histogram_quantile(0.95, max by (job, callback, le) (rate(celery_chord_duration_seconds_bucket[1h])))",
    ),
    Query(
        "Which share of the barrier is spent on stragglers?",
        "From 0 to 1: near 1 the header waits for its last tasks nearly all the time.",
        "max by (job, callback) (rate(celery_chord_straggler_seconds_sum[1h]))\n"
        "/ (max by (job, callback) (rate(celery_chord_barrier_seconds_sum[1h])) > 0)",
    ),
    Query(
        "How much worker time does the barrier waste?",
        "In seconds per second: 2 is the time of two workers. When the median header task of a chord ends, half of "
        "them have ended, and each waits for the last one at least as long as the straggler time. It is no measure of "
        "idle processes: they may do other work. The [rules](alerts.md) record it as "
        "`job:celery_chord_barrier_wasted_seconds:rate`.",
        "max by (job, callback) (rate(celery_chord_straggler_seconds_sum[1h]))\n"
        "* sum by (job, callback) (\n"
        '    max by (job, callback, name) (rate(celery_chord_header_tasks_total{event="succeeded"}[1h]))\n'
        "  )\n"
        "/ (max by (job, callback) (rate(celery_chord_barrier_seconds_count[1h])) > 0)\n"
        "/ 2",
    ),
    Query(
        "Which share of the chords fails?",
        "From 0 to 1, of the chords that ended.",
        "sum by (job, callback) (\n"
        "  max by (job, callback, outcome) "
        '(rate(celery_chord_finished_total{outcome!="succeeded"}[1h]))\n'
        ")\n"
        "/ (sum by (job, callback) (\n"
        "  max by (job, callback, outcome) (rate(celery_chord_finished_total[1h]))\n"
        ") > 0)",
    ),
    Query(
        "How many retries does a chord need?",
        "",
        "sum by (job, callback) (max by (job, callback, name, role) (rate(celery_chord_retries_total[1h])))\n"
        "/ (max by (job, callback) (rate(celery_chord_started_total[1h])) > 0)",
    ),
    Query(
        "How many messages wait in each queue?",
        "",
        "max by (job, queue_name) (celery_queue_length)",
    ),
    Query(
        "For how many seconds has the oldest message of a chord waited in each queue?",
        "",
        "time() - min by (job, queue_name) (celery_chord_oldest_queued_timestamp_seconds)",
    ),
)
