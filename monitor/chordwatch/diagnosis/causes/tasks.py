"""Tasks that ended so that the chord was never told, and chords that wait for something before or inside them."""

from __future__ import annotations

from chordwatch.diagnosis.causes.cause import Cause

CAUSES = (
    Cause(
        id="header_ignored",
        outcome="hung",
        remedy="Let the task return a value or raise an ordinary error; then send the chord again.",
        what="A header task raised `Ignore()`, or code that it calls did.\n"
        "Celery then stores nothing and counts nothing, and the chord waits for ever.\n"
        "Before Celery 5.7 `Reject(requeue=False)` does the same.\n"
        "`self.replace(…)` raises `Ignore()` as well, but hands the part over to what replaces it; that is no fault.",
        recognise='A worker\'s log says "Task … ignored". The worker lives and does not run the task any more; its '
        "result is missing, or stays `STARTED`.",
        fix="Send the chord again, with a task that returns a value.",
        prevent='Return `None`, or a value that says "skipped", from header tasks. `celery -A proj chords doctor '
        "--scan .` finds `Ignore()` in tasks.",
        reproduce="python -m tasks.run header_ignored",
        doubt="Certain where the worker is instrumented. Otherwise it looks like a worker that was killed or a "
        "backend that refused the result; these are then named together, each with its question.",
    ),
    Cause(
        id="nested_chord_failed",
        outcome="hung",
        remedy="Mend the task that failed and send the chord again. To keep the outer chord alive, catch errors in the "
        "tasks of inner chords and return a value.",
        what="A part of the header is the callback of an inner chord: a chord in a header, or `chain(group, task)`, "
        "which becomes one. A task of the inner header failed.\n"
        "Celery gives the inner callback a `ChordError` and never tells the outer chord, which waits for ever.",
        recognise="The result of the missing part is `ChordError: Dependency … raised …`, without a `group_id`, and "
        "the part is not in the outer `.j`. The log names the inner chord only.",
        fix="Send the outer chord again once the cause is mended.",
        prevent="Flatten the header. Or catch errors in inner tasks and return a value that the callbacks understand.",
        upstream="celery/celery#9674 (open), #10323, #6220, #5229, #9107, #8786.",
        reproduce="python -m tasks.run nested_failure",
    ),
    Cause(
        id="upstream_failed",
        outcome="hung",
        remedy="Mend the task that failed and send the chain again: nothing was sent of this chord.",
        what="The chord stands in a chain, behind a task that failed or was revoked.\n"
        "Celery ends the chain there. The chord is never sent, and the id that the caller holds stays `PENDING`.",
        recognise="The result of a task before the chord is a failure; no message and no key of the chord exists.",
        fix="Mend the task and send the chain again.",
        prevent="Link an errback to the chain (`chain.on_error(…)`), so that somebody is told; wait for the chain's "
        "result with `propagate=True`, which looks at the tasks before it.",
    ),
    Cause(
        id="blocked_by_chord",
        outcome="hung",
        remedy="Look at the inner chord; this one goes on when it does.",
        what="A part of the header is the callback of another chord that has not finished.\n"
        "The outer chord is as healthy as the inner one, so the verdict has the outcome of the inner chord's first "
        "verdict, and `waiting` while that one is well.",
        recognise="The id of the missing part is the callback's id of the inner chord: "
        "`celery -A proj chords show <id>` with that id finds the inner chord.",
        fix="Mend what holds the inner chord.",
        prevent="Flatten the header where the inner chord is not needed.",
    ),
)
