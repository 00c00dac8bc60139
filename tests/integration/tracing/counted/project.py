"""An instrumented project that traces to nowhere and counts, in each process, the spans that were begun and not ended.

`celery -A project inspect` cannot see them, so the worker's main process answers the control command `live_spans`, and
the pool's child the task of the same name.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Any

from celery import Celery
from celery.exceptions import Reject
from celery.worker.control import inspect_command
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

import chordwatch


class Count(SpanProcessor):
    """Counts the spans of this process, by name."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self.begun, self.live = 0, Counter[str]()

    def on_start(self, span: Span, parent_context: Any = None) -> None:  # noqa: ARG002  # the interface's name
        """Remember it."""
        self.begun += 1
        self.live[span.name] += 1

    def on_end(self, span: ReadableSpan) -> None:
        """Forget it."""
        self.live.subtract([span.name])

    def told(self) -> dict[str, Any]:
        """Return how many began, the names of those that have not ended, and whether there is one at this moment."""
        current = trace.get_current_span().get_span_context()
        return {
            "begun": self.begun,
            "live": {name: number for name, number in self.live.items() if number},
            "current": current.is_valid,
        }


count = Count()
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(count)
trace.set_tracer_provider(provider)

app = Celery("project", broker=os.environ["PROJECT_BROKER"], backend=os.environ["PROJECT_BACKEND"])
app.conf.broker_connection_retry_on_startup = True
app.conf.task_acks_late = os.environ.get("PROJECT_ACKS_LATE") == "1"
chordwatch.instrument(app)


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def reject() -> None:
    raise Reject("not this one", requeue=False)


@app.task
def die() -> None:
    """Die as the kernel kills."""
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def collect(parts: list[Any]) -> list[Any]:
    return parts


@app.task
def leak() -> None:
    """Begin a span and forget it."""
    provider.get_tracer("leak").start_span("leaked")


@app.task
def live_spans() -> dict[str, Any]:
    return count.told()


@inspect_command(name="live_spans")
def in_main(_: Any) -> dict[str, Any]:
    """Answer for the worker's main process."""
    return count.told()
