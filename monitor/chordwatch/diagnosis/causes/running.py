"""Tasks that run: well, for too long, or again and again."""

from __future__ import annotations

from chordwatch.diagnosis.causes.cause import Cause

LOOPING = (
    Cause(
        id="worker_lost_loop",
        outcome="looping",
        remedy="Stop it: celery -A proj control revoke TASK (the chord then fails). Let a task that kills its process "
        "end after some attempts: task_retry_on_worker_lost = True with max_retries instead of "
        "task_reject_on_worker_lost.",
        what="The task kills the process that runs it (memory, a crash in C code), and its message goes back to the "
        "queue each time (`task_acks_late` with `task_reject_on_worker_lost`).\n"
        "Nothing bounds that: it starts, kills and comes back for ever.",
        recognise="The worker's log repeats `Process 'ForkPoolWorker-N' pid:… exited with 'signal 9 (SIGKILL)'`; the "
        "message in `unacked` has `redelivered` true; the task's `retries` stay the same.",
        fix="`celery -A proj control revoke <task id>`: the next worker that gets it gives it up, and the chord fails.",
        prevent="`task_retry_on_worker_lost = True` (Celery 5.7) with `max_retries` in place of "
        "`task_reject_on_worker_lost`; `worker_max_memory_per_child`; more memory.",
        upstream="celery/celery#3541.",
        doubt="Without instrumented workers only looks at different times tell that it starts anew; the two loops "
        "are then both named.",
    ),
    Cause(
        id="requeue_loop",
        outcome="looping",
        remedy="Stop it: celery -A proj control revoke TASK (the chord then fails). In the task, raise "
        "self.retry(max_retries=…) instead of Reject(requeue=True): it is bounded and waits between attempts.",
        what="The task raises `Reject(requeue=True)`: its message goes back to the queue and is taken again at once, "
        "without a bound and without a pause. The part is never counted.",
        recognise="The worker's log repeats `Task …[…] reject requeue=True`, several times a second.",
        fix="`celery -A proj control revoke <task id>`: the next worker that gets it gives it up, and the chord fails.",
        prevent="`self.retry(countdown=…, max_retries=…)` in place of `Reject(requeue=True)`.",
        doubt="As with [worker_lost_loop](#worker_lost_loop).",
    ),
)

LATE = (
    Cause(
        id="task_overdue",
        outcome="late",
        remedy="See what it does: on its worker's host pip install py-spy, and py-spy dump --pid PID of the process "
        "that runs it (as root). To end it, which fails the chord: celery -A proj control revoke TASK "
        "--terminate. task_time_limit ends such a task by itself.",
        what="A task runs at least three times as long as nearly all finished runs of its kind, and at least some "
        "minutes. It may still end well; a call without a timeout does not.",
        recognise="`celery -A proj inspect active` shows it, with `time_start`.",
        fix="Look at its stack on its worker's host (`pip install py-spy`; as root `py-spy dump --pid <worker_pid>`, "
        "which `celery -A proj inspect active` names). "
        "`celery -A proj control revoke <task id> --terminate` ends it; the chord then fails.",
        prevent="Timeouts on every call to the outside, and `task_time_limit`.",
        doubt="The comparison is with finished runs of the same task name: a task whose time depends on its arguments "
        "may be well. Without finished runs nothing is said.",
    ),
)

CAUSES = (
    Cause(
        id="callback_running",
        outcome="ok",
        remedy="Nothing to do. A time limit (task_time_limit) ends a task that runs for ever.",
        what="All parts are counted and the callback runs. That is no fault, however long it takes.",
        prevent="A time limit (`task_time_limit`) ends what would run for ever.",
    ),
    Cause(
        id="header_running",
        outcome="ok",
        remedy="Nothing to do. A time limit (task_time_limit) ends a task that runs for ever.",
        what="Header tasks run. That is no fault, however long it takes.",
        prevent="A time limit (`task_time_limit`) ends what would run for ever.",
        doubt="Of workers that do not record, nobody knows which chord a running task belongs to. "
        "A part that was not located may then be one of those tasks, or be lost: the verdict names them and is not "
        "certain.",
    ),
)
