"""Chords that stand still because of a worker."""

from __future__ import annotations

from chordwatch.diagnosis.causes.cause import Cause

CAUSES = (
    Cause(
        id="worker_lost",
        outcome="hung",
        remedy="Nothing will run it again: send the chord again (the parts that exist: celery -A proj chords results "
        "ID). With task_acks_late = True a task comes back when its worker dies; on Redis the visibility_timeout "
        "must then be longer than the longest task.",
        what="A worker took the task and died while it had it: killed for its memory, its node lost, its container "
        "ended before the task was.\n"
        "By default Celery acknowledges a message before the task runs, so the broker has nothing left to deliver, "
        "and nobody is left to report a failure.\n"
        "It is another thing when only a pool process dies: the worker then reports a `WorkerLostError`, and the "
        "chord fails.",
        recognise="The task is in no queue, not in the hash `unacked`, and in none of `celery -A proj inspect active "
        "reserved scheduled`.\n"
        "Its result is missing; with `task_track_started` it stays `STARTED` and names worker and process.\n"
        "The worker does not answer `celery -A proj inspect ping`, or was started after the task "
        "(`celery -A proj inspect stats`, `uptime`).",
        fix="Send the chord again. The parts that came are listed by `celery -A proj chords results <id>`.",
        prevent="`task_acks_late = True`: the message stays until the task has ended. On Redis it is delivered again "
        "after `visibility_timeout` (one hour), so that must be longer than the longest task, or tasks run twice.\n"
        "Give a deployment time: the grace period before SIGKILL, or `worker_soft_shutdown_timeout`, must be longer "
        "than the longest task.",
        upstream="celery/celery#5106, #1628.",
        reproduce="python -m tasks.run worker_killed",
        doubt="With instrumented workers a loss is certain when heartbeat and connection are gone and two looks found "
        "the task nowhere.\n"
        "Without them a worker that does not answer may be busy (solo or gevent pool), and one that was started "
        "anew may have ended the task before without telling; the verdict asks.",
    ),
    Cause(
        id="worker_frozen",
        outcome="hung",
        remedy="On its host see whether its main process is stopped: ps -o stat= -p PID shows T. Continue it then "
        "(kill -CONT PID; its pool: pkill -CONT -P PID), and its tasks go on. Only if it is not stopped, or does not "
        "go on, end it (kill -KILL PID) and start it anew: what it had not acknowledged is delivered again after the "
        "visibility_timeout, the rest is lost.",
        what="The worker's main process exists and does nothing: stopped (SIGSTOP, a debugger, a frozen container), "
        "blocked in a system call, or swapped out.\n"
        "Its tasks are neither run to their end nor given back.",
        recognise="`celery -A proj inspect ping` has no answer from it, but `redis-cli CLIENT LIST` shows its "
        "connections, and `ps` its process in state T or D.",
        fix="Look at its state on its host: `ps -o stat= -p <pid>`. T says that it is stopped: continue it "
        "(`kill -CONT <pid>`, and its pool with `pkill -CONT -P <pid>`; of a paused container `docker unpause`), and "
        "its tasks go on.\n"
        "Only if it is not stopped, or does not go on, end it (`kill -KILL <pid>`) and start it anew.\n"
        "What it had not acknowledged is then delivered again; a task that was acknowledged early is lost with it.",
        prevent="A liveness probe that restarts a silent worker: `celery -A proj inspect ping -d celery@$HOSTNAME`.",
        doubt="With instrumented workers it is certain: the heartbeat comes from a thread of its own, so a busy "
        "worker beats. Without them a frozen worker looks like a dead one, and both are named.",
    ),
    Cause(
        id="cold_shutdown",
        outcome="hung",
        remedy="Nothing will run it again: send the chord again (the parts that exist: celery -A proj chords results "
        "ID). Stop workers with SIGTERM and leave them time (worker_soft_shutdown_timeout), or set "
        "task_acks_late = True.",
        what="A worker that is shut down cold (SIGQUIT, or a second SIGINT or SIGTERM) cancels what it runs.\n"
        "It stores the result `RETRY`, but sends no message for that retry, so a task that was acknowledged early "
        "never runs again.",
        recognise="The result is `RETRY` with the error type `Retry`, and the task is in no queue, not in `unacked`, "
        "and not in `celery -A proj inspect scheduled`.",
        fix="Send the chord again.",
        prevent="Stop workers warm: SIGTERM once, and wait. `worker_soft_shutdown_timeout` gives running tasks time "
        "before a cold shutdown; `task_acks_late = True` brings them back after it.",
        doubt="Without instrumented workers the error type alone tells it from a retry whose message was lost.",
    ),
    Cause(
        id="worker_not_consuming",
        outcome="hung",
        remedy="Let the worker read the queue again (celery -A proj control add_consumer QUEUE), or start it anew.",
        what="The worker is online and answers, but reads no queue: its consumer was cancelled "
        "(`control cancel_consumer`), or was not set up again after the connection to the broker was lost.",
        recognise="`celery -A proj inspect ping` says pong, `inspect active_queues` is empty, and "
        "`redis-cli LLEN <queue>` does not fall.",
        fix="`celery -A proj control add_consumer <queue>`, or start the worker anew.",
        prevent="Watch the number of consumers of each queue (`celery_active_consumer_count`).",
        upstream="celery/celery#8030, #8091, #8384, #8990, #9054, #10205.",
        doubt="A worker in a warm shutdown reads nothing either, while it ends what it runs; if it still runs "
        "something, the verdict asks.",
    ),
    Cause(
        id="no_workers",
        outcome="hung",
        remedy="Start workers that read queue QUEUE (celery -A proj worker -Q QUEUE): the messages wait in the broker "
        "and are then taken.",
        what="Tasks lie in queues and no worker answers at all.",
        recognise="`celery -A proj inspect ping` gets no answer.",
        fix="Start workers that read the queues in which the tasks lie: `celery -A proj worker -Q <queue>,<queue>`.\n"
        "The messages are still there; a worker that reads other queues does not take them.",
        prevent="Let a supervisor restart workers: since Celery 5.7 a worker that has fetched messages ends when the "
        "broker is away for some seconds.",
        doubt="Workers with a solo or gevent pool do not answer while they are busy, and workers with another "
        "`control_exchange` are not asked. Where all workers that are known were instrumented and are gone, it is "
        "certain.",
    ),
    Cause(
        id="pool_deadlock",
        outcome="hung",
        remedy="Start one more worker that reads the queue (celery -A proj worker -c 1 -Q NAME): the waiting tasks "
        "then go on. Make the task a chain, or replace itself (self.replace), instead of waiting with .get().",
        what="A task waits for the result of another one that it sent (`.get()`), and every slot that could run that "
        "one is taken by a task that waits in the same way.\n"
        "Celery forbids it unless it is told otherwise (`disable_sync_subtasks=False`, `allow_join_result`).",
        recognise="`celery -A proj inspect active` shows as many tasks as there are slots; the tasks that they sent "
        "are in `inspect reserved` or in the queue.",
        fix="One more worker, or `celery -A proj control pool_grow 1`: it runs what the others wait for.",
        prevent="Never wait inside a task: use `chain`, `chord` or `self.replace`. If it must be, send what is waited "
        "for to a queue with workers of its own.",
        doubt="Whether a task waits for what it sent, or goes on without, cannot be seen from outside; the verdict "
        "asks. It is not said while the task runs no longer than its kind is used to.",
    ),
    Cause(
        id="join_blocked",
        outcome="hung",
        remedy="Free the slot: start that worker anew, then send the chord again. Take ignore_result off the tasks "
        "inside the header's groups and chains, and set task_time_limit.",
        what="All parts are counted, and the process that counted the last one gathers the results of a complex "
        "header (one that contains groups), one by one.\n"
        "One of them is never stored, because its task has `ignore_result`. `result_chord_join_timeout` is not "
        "handed on to nested results, so that the process waits for ever, and its slot is gone.",
        recognise="`.j` has as many entries as `.s` says, the key `celery-taskset-meta-<group id>` exists, and a "
        "header task that is counted is still in `celery -A proj inspect active`.",
        fix="Start the worker anew, then send the chord again.",
        prevent="No `ignore_result` on tasks inside groups or chains of a header; `task_time_limit` frees the slot.",
        upstream="celery/celery#6734, #2766.",
    ),
)
