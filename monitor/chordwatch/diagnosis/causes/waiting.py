"""Chords that go on by themselves, some of them late."""

from __future__ import annotations

from chordwatch.diagnosis.causes.cause import Cause

LATE = (
    Cause(
        id="redelivery_pending",
        outcome="late",
        remedy="Wait, while a worker that reads the queue is online: the message is delivered again after the "
        "visibility_timeout. A shorter one (broker_transport_options) brings it sooner, but must stay longer than "
        "the longest task and the farthest ETA.",
        what="A worker took the message and died before it acknowledged it: it had fetched it ahead, or runs with "
        "`task_acks_late`.\n"
        "Redis does not notice that a consumer is gone. Any other worker of that broker puts the message back "
        "after `visibility_timeout` (one hour), in a sweep that comes every 100 seconds.",
        recognise="The message is in the hash `unacked` (its time of delivery is the score in `unacked_index`), and no "
        "worker has it in `celery -A proj inspect active reserved scheduled`.",
        fix="Wait, or put all that is overdue back at once, from a process that lowers the timeout for itself: "
        "kombu's `channel.qos.restore_visible(…)`. What a living worker still runs would run twice.",
        prevent="A `visibility_timeout` not longer than needed: above the longest task, ETA and wait in a worker. "
        "Stop workers warm: a clean shutdown gives messages back at once.",
        upstream="celery/celery#5935.",
        doubt="Without instrumented workers a message that no worker names may be with one that is too busy to "
        "answer, or held over a rate limit; the verdict asks.",
    ),
    Cause(
        id="prefetch_hoarded",
        outcome="late",
        remedy="Nothing is lost: it runs when the busy worker has a free slot. Set worker_prefetch_multiplier = 1 with "
        "task_acks_late = True, or worker_disable_prefetch = True, so that no worker fetches what another could run.",
        what="A worker fetches four messages per slot by default. Behind a long task they wait, while another worker "
        "on the same queue has nothing to do.",
        recognise="`celery -A proj inspect reserved` shows the task at one worker; `inspect active` of another one "
        "that reads the same queue is empty.",
        fix="Wait; or stop the busy worker warm (SIGTERM): it gives back what it has not begun.",
        prevent="`worker_prefetch_multiplier = 1` with `task_acks_late = True`, or `worker_disable_prefetch = True` "
        "(Celery 5.7, Redis); a queue of their own for long tasks.",
    ),
)

CAUSES = (
    Cause(
        id="retry_scheduled",
        outcome="waiting",
        remedy="Nothing to do if the wait is meant. The visibility timeout of the broker must be longer than it.",
        what="A task waits for its next attempt (`self.retry(countdown=…)`, `autoretry_for`).\n"
        "Until then its message is delivered and not acknowledged, held back by one worker.\n"
        "When its time has passed by more than 10 seconds and it still waits, the outcome is `late`.",
        recognise="`celery -A proj inspect scheduled`.",
        prevent="On Redis the broker's `visibility_timeout` must be longer than the longest countdown, or the message "
        "is delivered a second time.",
        reproduce="python -m tasks.run retry_in_two_hours",
    ),
    Cause(
        id="eta_scheduled",
        outcome="waiting",
        remedy="Nothing to do if the wait is meant. The visibility timeout of the broker must be longer than it.",
        what="A task was sent with an `eta` or a `countdown` and waits for it.\n"
        "All that is said under [retry_scheduled](#retry_scheduled) holds.",
    ),
    Cause(
        id="rate_limited",
        outcome="waiting",
        remedy="Nothing to do if the limit is meant. To lift it now, for the task NAME: "
        "celery -A proj control rate_limit NAME 0.",
        what="The task has a `rate_limit`, and the worker that received it holds it back until its turn comes.\n"
        "`inspect` shows such a task in none of its lists.",
        recognise="The message is in `unacked`, its worker answers and lists it nowhere; "
        "`celery -A proj inspect registered rate_limit` shows a limit.",
        fix="`celery -A proj control rate_limit <task name> 0` lifts the limit until the worker restarts.",
        prevent="A rate limit holds per worker, not for all of them; a chord of N tasks takes at least N divided by "
        "limit and workers. On Redis that must be shorter than the `visibility_timeout`.",
        doubt="Which tasks have a limit is not always known; the verdict then asks.",
    ),
    Cause(
        id="queued",
        outcome="waiting",
        remedy="Nothing to do while the queue moves; more workers or concurrency on it shorten the wait.",
        what="Tasks wait in a queue that workers read, or were fetched by a worker whose slots are full.",
        prevent="More workers, more concurrency, or `worker_prefetch_multiplier = 1`, so that no worker hoards what "
        "another could run.",
    ),
)
