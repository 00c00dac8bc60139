"""Messages that nobody takes."""

from __future__ import annotations

from chordwatch.diagnosis.causes.cause import Cause

CAUSES = (
    Cause(
        id="queue_unconsumed",
        outcome="hung",
        remedy="Start a worker that reads the queue (celery -A proj worker -Q QUEUE), or mend task_routes so that "
        "the tasks go to a queue that is read.",
        what="Header tasks lie in a queue that no worker reads.\n"
        "They wait for ever, silently: an unread queue is no error for Celery.\n"
        "A revoked or expired task stays there as well: only a worker that receives it tells the chord.",
        recognise="`celery -A proj inspect active_queues` does not name the queue, and `redis-cli LLEN <queue>` does "
        "not fall.",
        fix="Start a worker that reads it: `celery -A proj worker -Q <queue>`.",
        prevent="Name every queue in `task_queues` and start a worker for each; set "
        "`task_create_missing_queues = False`, so that a misspelt queue is an error where it is sent.",
        upstream="celery/celery#4903, #10526.",
        reproduce="python -m tasks.run queue_unconsumed",
        doubt="A worker that is too busy to answer (solo or gevent pool) may read the queue after all; the verdict "
        "says so and asks. Where every worker is instrumented, each has told what it reads, and it is certain.",
    ),
    Cause(
        id="callback_queue_unconsumed",
        outcome="hung",
        remedy="Start a worker that reads the queue (celery -A proj worker -Q QUEUE), or mend task_routes so that "
        "the callback goes to a queue that is read.",
        what="All parts are counted and the callback is published, to a queue that no worker reads.\n"
        "The callback does not inherit the header's queue: its own route decides.",
        recognise="`celery-taskset-meta-<group id>.c` is `done` (for five minutes), the callback's result is missing, "
        "its message lies in the queue.",
        fix="Start a worker that reads the queue.",
        prevent='Route the callback where the header goes: `callback.s().set(queue="…")`.',
        reproduce="python -m tasks.run callback_queue_unconsumed",
        doubt="As with [queue_unconsumed](#queue_unconsumed).",
    ),
)
