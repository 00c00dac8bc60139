"""Chords on result backends that do not count."""

from __future__ import annotations

from chordwatch.diagnosis.causes.cause import Cause

LOOPING = (
    Cause(
        id="unlock_polling",
        outcome="looping",
        remedy="Nothing ends it: revoke the poll (celery -A proj control revoke UNLOCK) and send the chord again. Take "
        "ignore_result and Ignore() out of header tasks, or use Redis as result backend, which counts.",
        what="Result backends that cannot count (files, SQL databases, MongoDB) find out by polling: the producer "
        "sends `celery.chord_unlock` to the callback's queue, and that asks for all results of the header, again every "
        "`result_chord_retry_interval` (one second), without a bound.\n"
        "A header task that never stores a result keeps it polling for ever: one with `ignore_result=True`, one that "
        "raised `Ignore()`, one that was lost with its worker, a nested chord that failed.",
        recognise="The worker logs `Task celery.chord_unlock[...] retry: Retry in 1.0s` every second, and "
        "`celery -A proj inspect scheduled` lists it all the time.\n"
        "Its message's `retries` grows by one a second, and one of the ids in its argument `result` has no result "
        "though its task has ended.",
        fix="Revoke the poll and send the chord again: `celery -A proj control revoke <id of chord_unlock>`.",
        prevent="No `ignore_result` and no `Ignore()` in header tasks.\n"
        "Redis as result backend: it counts, and nothing polls.",
        upstream="celery/celery#1700, #2725, #3246, #9674, #9700.",
        doubt="It is certain when a record tells that the task ended without a result. Without one, a worker that is "
        "too busy to answer may still run the task; the verdict asks.",
    ),
)
