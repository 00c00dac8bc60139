"""The alerts: what each says, how severe it is and where it leads. Pure.

In summaries and descriptions `{{ … }}` are Prometheus' templates; labels hold other people's names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chordwatch.metrics import alert_expressions as expressions
from chordwatch.metrics.promql import number, words
from chordwatch.metrics.thresholds import Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alerting rule; `wait` and `keep` are seconds.

    `cause` names its section of the runbook: a cause, `$` for the one in the label `cause`; None where the alert has a
    section of its own. `page` is the dashboard's page that shows what it is about, by default the overview, and
    `filters` are the labels that lead to its chords there. `reason` is a label that tells several rules of one name
    apart.
    """

    name: str
    severity: Literal["critical", "warning"] = "warning"
    expr: str
    wait: float = 0
    keep: float = 0
    summary: str
    description: str
    cause: str | None = None
    page: Literal["", "queues", "stuck"] = ""
    filters: tuple[str, ...] = ()
    reason: str | None = None


_COUNT = '{{ printf "%.0f" $value }}'
_SHARE = "{{ $value | humanizePercentage }}"
_AGE = "{{ $value | humanizeDuration }}"
_CALLBACK, _CAUSE, _NAME = "{{ $labels.callback }}", "{{ $labels.cause }}", "{{ $labels.name }}"
_QUEUE, _HOSTNAME, _REASON = "{{ $labels.queue_name }}", "{{ $labels.hostname }}", "{{ $labels.reason }}"
_RAN = '{{ if eq $labels.cause "duplicate_delivery" }}twice{{ else }}before all parts had ended{{ end }}'
_OF_JOB = "{{ with $labels.job }} of job {{ . }}{{ end }}"
_WITH = f"with callback {_CALLBACK}"


def chord_alerts(at: Thresholds) -> tuple[Alert, ...]:
    """Return the alerts on chords, once for each callback and cause."""
    return (
        Alert(
            name="CeleryChordHung",
            severity="critical",
            expr=expressions.unhealthy("hung"),
            wait=at.hung_for,
            keep=at.unhealthy_keep,
            summary=f"{_many('chord hangs', 'chords hang')} {_WITH}: {_CAUSE}",
            description=f"{_many('chord', 'chords')} {_WITH} will never finish, because of {_CAUSE}: the runbook says "
            "what to do, the dashboard shows which.",
            cause="$",
            page="stuck",
            filters=("callback", "cause"),
        ),
        Alert(
            name="CeleryChordWrongResult",
            severity="critical",
            expr=expressions.wrong_result(at),
            summary=f"{_many('chord has', 'chords have')} a wrong result {_WITH}: {_CAUSE}",
            description=f"Within {words(at.wrong_result_window)} the callback {_CALLBACK} ran {_RAN} in "
            f"{_many('chord', 'chords')}: check what it did, because nothing failed.",
            cause="$",
            page="stuck",
            filters=("callback", "cause"),
        ),
        Alert(
            name="CeleryChordLooping",
            expr=expressions.unhealthy("looping"),
            wait=at.looping_for,
            keep=at.unhealthy_keep,
            summary=f"{_many('chord loops', 'chords loop')} {_WITH}: {_CAUSE}",
            description=f"{_many('chord repeats', 'chords repeat')} the same step again and again {_WITH}, because of "
            f"{_CAUSE}: that takes the workers' time and hardly ever ends by itself.",
            cause="$",
            page="stuck",
            filters=("callback", "cause"),
        ),
        Alert(
            name="CeleryChordLate",
            expr=expressions.unhealthy("late"),
            wait=at.late_for,
            keep=at.unhealthy_keep,
            summary=f"{_many('chord is', 'chords are')} late {_WITH}: {_CAUSE}",
            description=f"{_many('chord', 'chords')} {_WITH} should have gone on by now, because of {_CAUSE}: "
            "it may still happen without you.",
            cause="$",
            page="stuck",
            filters=("callback", "cause"),
        ),
    )


def share_alerts(at: Thresholds) -> tuple[Alert, ...]:
    """Return the alerts on what happens to many chords or tasks."""
    return (
        Alert(
            name="CeleryChordFailureRate",
            expr=expressions.failure_share(at),
            summary=f"{_SHARE} of the chords {_WITH} fail",
            description=f"Within the last {words(at.failure_window)} {_SHARE} of the chords that ended {_WITH} failed: "
            f"{number(at.failures_least)} or more.",
            page="stuck",
            filters=("callback",),
        ),
        Alert(
            name="CeleryChordRetryStorm",
            expr=expressions.retry_share(at),
            summary=f"{_SHARE} of the runs of {_NAME} end in a retry {_WITH}",
            description=f"Within the last {words(at.retry_window)} {_SHARE} of the runs of task {_NAME} in chords "
            f"{_WITH} ended in a retry: {number(at.retries_least)} or more.",
            page="stuck",
            filters=("callback",),
        ),
    )


def installation_alerts(at: Thresholds) -> tuple[Alert, ...]:
    """Return the alerts on queues and workers."""
    return (
        Alert(
            name="CeleryQueueWithoutConsumer",
            expr=expressions.without_consumer(),
            wait=at.unconsumed_for,
            summary=f"No worker reads queue {_QUEUE}, in which {_many('message waits', 'messages wait')}",
            description=f"{_many('message waits', 'messages wait')} in queue {_QUEUE}, which none of the workers "
            "reads: start one with -Q for it, or correct the route.",
            cause="queue_unconsumed",
            page="stuck",
            filters=("queue_name",),
        ),
        Alert(
            name="CeleryQueueBacklog",
            expr=expressions.backlog(at),
            wait=at.backlog_for,
            summary=f"Tasks of chords wait in queue {_QUEUE} for {_AGE}",
            description=f"The oldest task of a chord in queue {_QUEUE} has waited for {_AGE}: workers read the queue, "
            "and do not keep up.",
            cause="queued",
            page="queues",
        ),
        Alert(
            name="CeleryWorkerDown",
            expr=expressions.worker_down(),
            wait=at.worker_down_for,
            summary=f"Worker {_HOSTNAME} vanished with {_many('chord task', 'chord tasks')}",
            description=f"Worker {_HOSTNAME} is silent, said no goodbye, and held {_many('task', 'tasks')} of chords: "
            "it was killed, or it is frozen.",
            cause="worker_lost",
            page="stuck",
        ),
    )


def monitor_alerts(at: Thresholds) -> tuple[Alert, ...]:
    """Return the alerts on chordwatch itself; it blind is critical, because nothing else can page then."""
    servers = (("store", "store"), ("broker", "broker"), ("backend", "result backend"))
    return (
        _blind(at, "monitor", expressions.no_monitor(at), f"no monitor{_OF_JOB} answers Prometheus"),
        _blind(
            at,
            "scan",
            expressions.stale_scan(at),
            f"the monitor{_OF_JOB} has finished no look for {words(at.scan_age)}",
        ),
        *(
            _blind(
                at,
                reason,
                expressions.unreachable(reason, at),
                f"the monitor{_OF_JOB} does not reach the {server}",
            )
            for reason, server in servers
        ),
        Alert(
            name="ChordwatchDroppingRecords",
            expr=expressions.dropped(at),
            summary=f"{_many('record', 'records')}{_OF_JOB} got lost: {_REASON}",
            description=f"Within the last {words(at.dropped_window)} {_many('record', 'records')}{_OF_JOB} got lost "
            f"({_REASON}): what chordwatch says of the chords of that time may lack something.",
        ),
    )


def _blind(at: Thresholds, reason: str, expr: str, what: str) -> Alert:
    return Alert(
        name="ChordwatchBlind",
        severity="critical",
        expr=expr,
        wait=at.blind_for,
        keep=at.blind_keep,
        summary=f"Nobody watches the chords: {what}",
        description=f"Nobody watches the chords, because {what}: until it is mended, a hung chord may page nobody.",
        reason=reason,
    )


def _many(one: str, more: str) -> str:
    """Return `1 chord hangs` or `3 chords hang`, as the value is."""
    return f"{{{{ if eq $value 1.0 }}}}1 {one}{{{{ else }}}}{_COUNT} {more}{{{{ end }}}}"
