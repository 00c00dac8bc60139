"""What is worth knowing of a chord of any health, and what is not explained."""

from __future__ import annotations

from chordwatch.diagnosis.causes.cause import Cause

CAUSES = (
    Cause(
        id="duplicate_delivery",
        outcome="ok",
        explains=False,
        remedy="Make the tasks idempotent. On Redis set broker_transport_options = {'visibility_timeout': seconds} to "
        "more than the longest task, countdown, and wait at a worker.",
        what="A header task, or the callback, was started at least twice without a retry: the broker delivered its "
        "message again.\n"
        "On Redis that happens `visibility_timeout` (one hour) after the delivery to a message that is not "
        "acknowledged: of a long task with `task_acks_late`, of one with a far ETA, or one that waits in a worker's "
        "prefetch. It also happens, as meant, when a worker dies.\n"
        "Celery 5.7 counts such a part once, but its effects happen twice.\n"
        "A callback that runs twice is the worst of these: nothing in Celery keeps it from writing, paying or sending "
        "twice.",
        recognise='The worker\'s logs name the id as received more than once, without "Retry in".',
        fix="Nothing holds the chord. Check what the second run did, the callback's above all.",
        prevent="A `visibility_timeout` longer than the longest task, countdown and wait; "
        "`worker_prefetch_multiplier = 1`; tasks that may run twice.",
        upstream="celery/celery#3270, #5935, #6236.",
    ),
    Cause(
        id="callback_fired_early",
        outcome="ok",
        explains=False,
        remedy="Check the result: it lacks parts. Use Celery 5.7, which counts a part once however often it runs, and "
        "a visibility_timeout longer than the longest task.",
        what="The callback ran before all header tasks had ended.\n"
        "Up to Celery 5.6 a header task that was delivered twice and returned two different results counted twice, "
        "so the number was full too early.",
        recognise="`.j` holds two entries of one task id, or the callback's list holds two results of one task.",
        fix="Run the callback again with the results of all header tasks.",
        prevent="Celery 5.7; a `visibility_timeout` longer than the longest task.",
        doubt="Said only where all workers are instrumented and the times leave no doubt, whatever their clocks.",
    ),
    Cause(
        id="chord_reapplied",
        outcome="ok",
        explains=False,
        remedy="Build a fresh signature for every submission; do not call apply_async on what chord(...)() returned.",
        what="The same chord was sent twice with the same ids: a frozen or stored signature was applied again, or the "
        "caller repeated `chord(header)(callback).apply_async()`, which raises after the chord was sent.\n"
        "The header tasks run for each submission, the callback once for all of them.",
        recognise="The same task ids are published twice with `retries` 0.",
        fix="Send what is missing with a fresh signature.",
        prevent="Build the signature anew for each submission; `chord(header)(callback)` sends by itself.",
    ),
    Cause(
        id="unknown",
        outcome="waiting",
        explains=False,
        remedy="Please report it with the output of celery -A proj chords report ID: a chord without a cause is a "
        "defect of chordwatch.",
        what="Two looks found a part nowhere, and nothing that is known explains it.\n"
        "This is a defect of chordwatch, to be mended where it appears. The chord is not called hung for it.",
        recognise="`celery -A proj chords explain <id>` lists what was looked at.",
        fix="Look for the task's id in the logs of all workers.",
    ),
)
