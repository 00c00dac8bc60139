"""What a span says of how a run ended. Pure, with OpenTelemetry's API."""

from __future__ import annotations

import sys

from opentelemetry.trace import Span, StatusCode

from chordwatch.recording.batch import error_text
from chordwatch.tracing.names import ERROR_TYPE, RETRY_EVENT, RETRY_REASON

#: What stands for an error's type where it is not to be told.
_OTHER = "_OTHER"


def tell_end(span: Span, state: str | None, result: object, *, errors: bool) -> None:
    """Tell a span Celery's state and its result or exception, whose type and text only if `errors`.

    An attempt that asked for another one has not failed. A backend that failed is the run's failure, too: Celery is
    handling its exception then.
    """
    failure = sys.exc_info()[1] if state in ("SUCCESS", "FAILURE") else None
    if state == "RETRY":
        reason = error_text(getattr(result, "exc", None) or result) if errors else _OTHER
        span.add_event(RETRY_EVENT, {RETRY_REASON: reason})
    elif state == "FAILURE" or failure is not None:
        error = failure if failure is not None else result
        span.set_attribute(ERROR_TYPE, type(error).__name__ if errors else _OTHER)
        span.set_status(StatusCode.ERROR, error_text(error) if errors else None)
