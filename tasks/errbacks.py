"""What runs when something failed for good: a notice, and a queue of failures for a person to look at."""

from __future__ import annotations

from typing import Any

from kombu.entity import Queue

from tasks.celery import app

#: Nobody consumes it: `celery -A tasks worker -Q dead_letter` is what a person starts to go through it.
#: It goes a week after the last failure was parked. (A name alone would make a queue that stays for ever.)
DEAD_LETTER = Queue("dead_letter", expires=7 * 24 * 3600)  # type: ignore[no-untyped-call]


@app.task
def notify(text: str) -> dict[str, str]:
    """Tell somebody. To be linked as `notify.si(text)`.

    With task_allow_error_cb_on_chord_header Celery makes the header's copies of an errback immutable: they
    are called without the failed task's id, and one that expects an argument fails itself.
    """
    return {"notified": text}


@app.task
def park(request: Any, exc: BaseException, traceback: str | None) -> None:
    """Park a failure on the dead_letter queue.

    An errback that takes three arguments is not sent as a task: Celery calls it at once, in the worker that
    saw the failure. For a chord `request` is the callback's, made up by Celery, because it never ran.
    """
    failure = {"task": request.task, "task_id": request.id, "error": f"{type(exc).__name__}: {exc}"}
    review.apply_async((failure, traceback), queue=DEAD_LETTER)


@app.task
def review(failure: dict[str, str], traceback: str | None) -> dict[str, str]:
    """Show a parked failure to the person who started a worker for it."""
    print(failure, traceback or "", sep="\n")
    return failure
