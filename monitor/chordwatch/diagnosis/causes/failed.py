"""Chords that end in an error."""

from __future__ import annotations

from chordwatch.diagnosis.causes.cause import Cause

CAUSES = (
    Cause(
        id="header_failed",
        outcome="failed",
        remedy="Mend the task, then send the chord again. To let the callback run on partial results, catch the "
        "error in the header task and return a value; to be told, link an errback (chord.on_error).",
        what="A header task raised, ran into a time limit, used up its retries, or its result could not be stored.\n"
        "Celery counts it all the same. When all parts are counted, the callback does not run; its id gets a "
        "`ChordError`, and nothing is logged where the chord was sent.",
        recognise="The callback's result is `ChordError: Dependency <id> raised …`; `.j` holds a `FAILURE`.",
        fix="Fix the task and send the chord again.",
        prevent="Catch the error in the header task and return a value that the callback understands, if partial "
        "results are useful; link an errback (`chord.on_error(…)`) to be told.",
        upstream="celery/celery#8211, #3317.",
        reproduce="python -m tasks.run partial_fail",
    ),
    Cause(
        id="worker_child_lost",
        outcome="failed",
        remedy="Find out what killed the process (memory: dmesg, the container's OOM events), then send the chord "
        "again. Bound the memory of pool processes with worker_max_memory_per_child; task_retry_on_worker_lost = True "
        "(Celery 5.7) retries such a task a bounded number of times.",
        what="The pool process that ran the task died: killed for its memory, a crash in native code, `sys.exit()`.\n"
        "The worker's main process survives it, stores a `WorkerLostError` and counts the part as failed, so the "
        "chord ends in a `ChordError`.",
        recognise="The worker's log says \"Process 'ForkPoolWorker-…' exited with 'signal 9 (SIGKILL)'\". "
        "The task's result is `WorkerLostError`.",
        fix="Give it more memory or smaller tasks, then send the chord again.",
        prevent="`worker_max_memory_per_child` and `worker_max_tasks_per_child`; memory limits of the container above "
        "concurrency times that. `task_retry_on_worker_lost` instead of `task_reject_on_worker_lost`, which is not "
        "bounded.",
        upstream="celery/celery#9781, #5106.",
    ),
    Cause(
        id="header_expired",
        outcome="failed",
        remedy="Send the chord again, with a longer expires or more workers on the queue; leave expires out in chords "
        "whose callback must run.",
        what="A header task was sent with `expires` and taken by a worker after that time.\n"
        "It is not run, is counted as revoked, and the chord ends in a `ChordError`.",
        recognise='The task\'s result is `TaskRevokedError: expired`. The log says "Discarding revoked task".',
        fix="Send the chord again.",
        prevent="`expires` longer than the longest wait in the queue.",
        upstream="celery/celery#10526.",
    ),
    Cause(
        id="header_revoked",
        outcome="failed",
        remedy="If the revocation was meant, nothing is to be done; otherwise send the chord again.",
        what="Somebody revoked a header task, waiting or running (`terminate=True`).\n"
        "It is counted as revoked when a worker takes it, and the chord ends in a `ChordError`.",
        recognise="The task's result is `TaskRevokedError: revoked` or `terminated`; `.j` holds it as `REVOKED`.",
        fix="Send the chord again if it was not meant.",
        prevent="Revoke all tasks of a chord and its callback, not one of them.",
        upstream="celery/celery#10526, #10527.",
    ),
    Cause(
        id="callback_failed",
        outcome="failed",
        remedy="Mend the callback. The header's results are stored until they expire: "
        "celery -A proj chords results ID.",
        what="All parts came, the callback ran and raised.",
        recognise="The callback's result is its own exception, not a `ChordError`.",
        fix="Fix the callback; the parts are in the results of the header tasks until they expire "
        "(`celery -A proj chords results <id>`).",
        prevent="Let the callback retry what may pass (`autoretry_for`), and link an errback to be told.",
    ),
    Cause(
        id="callback_signature_mismatch",
        outcome="failed",
        remedy="Let the callback take the list of results as its first argument, or send it immutable (.si()). The "
        "results are stored until they expire: celery -A proj chords results ID.",
        what="Celery calls the callback with the list of results as its first argument, and the callback does not "
        "take one.\n"
        "The check of arguments (`typing`) fails in the worker that was to publish it: it is never sent.",
        recognise="The callback's result is `ChordError: Callback error: TypeError(…)`.",
        fix="Mend the signature and send the chord again, or call the callback with "
        "`celery -A proj chords results <id>`.",
        prevent="`callback.si(…)` where the results are not wanted.",
    ),
    Cause(
        id="callback_publish_refused",
        outcome="failed",
        remedy="Mend the broker's error, then call the callback with the stored results: celery -A proj call CALLBACK "
        "--args \"$(celery -A proj chords results ID --format json | jq -c '[[.[].result]]')\".",
        what="All parts are counted, and the worker could not publish the callback: the broker refused it, or was not "
        "reachable for longer than Celery tries.",
        recognise="The callback's result is `ChordError: Callback error: OperationalError(…)` or another error of the "
        'broker. The worker\'s log says "Giving up refused callback publish".',
        fix="Call the callback by hand with the results: `celery -A proj chords results <id>`.",
        prevent="A longer `task_publish_retry_policy`; memory for the broker.",
    ),
    Cause(
        id="callback_unregistered",
        outcome="failed",
        remedy="Deploy the callback's code to the workers of its queue, then call it with the stored results: "
        "celery -A proj chords results ID.",
        what="The worker that received the callback does not know its name; it throws the message away and stores "
        "`NotRegistered`.",
        recognise="The callback's result is `NotRegistered`. A worker's log says \"Received unregistered task\".",
        fix="Deploy the callback to the workers that read its queue.",
        prevent="Deploy workers before producers.",
    ),
    Cause(
        id="callback_revoked",
        outcome="failed",
        remedy="If the revocation was meant, nothing is to be done; otherwise send the chord again, or call the "
        "callback with the stored results: celery -A proj chords results ID.",
        what="The callback was revoked, often before it was sent, or it expired before a worker took it.\n"
        "The header tasks run all the same.",
        recognise="The callback's result is `TaskRevokedError`.",
        fix="Send the chord again if it was not meant.",
        prevent="Revoke the header tasks as well, so that they do not run for nothing.",
        doubt="A worker remembers revoked ids in memory: after a restart without `--statedb` it runs the callback "
        "all the same.",
    ),
)
