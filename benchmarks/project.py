"""The Celery project that is measured: no-op tasks, its broker from Celery's own environment variables.

`BENCHMARK_VARIANT` says what watches it, `BENCHMARK_SEEN` names the file in which `witness` writes what it did.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, chord, signals

from benchmarks.variants import (
    CHORDWATCH,
    EVENTS,
    OTEL,
    TRACED,
    instrument_chordwatch,
    instrument_otel,
    instrument_traced,
)

app = Celery("benchmarks.project")
variant = os.environ.get("BENCHMARK_VARIANT", "")
app.conf.task_send_sent_event = variant == EVENTS
app.conf.broker_connection_retry_on_startup = True
if variant == CHORDWATCH:
    instrument_chordwatch(app)
if variant == TRACED:
    instrument_traced(app)
if variant == OTEL:
    # Its documentation wants it switched on in each pool child; a producer is no worker.
    signals.worker_process_init.connect(lambda **_: instrument_otel(app), weak=False)


@app.task
def nothing() -> None:
    """Do nothing: the worst case for whoever watches."""


@app.task
def gathered(parts: list[Any]) -> int:
    """Stand for a callback."""
    return len(parts)


@app.task(bind=True)
def witness(self: Any) -> None:
    """Write down that this task started and that it is about to end, whatever becomes of the process."""
    seen = os.open(os.environ["BENCHMARK_SEEN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        for moment in ("started", "finished"):
            os.write(seen, f"{os.getpid()} {moment} {self.request.id}\n".encode())
    finally:
        os.close(seen)


def no_op_chord(size: int, *, header_queue: str, queue: str, header: Any = nothing) -> Any:
    """Return a chord of `size` tasks that wait in `header_queue`, with a callback for `queue`."""
    return chord(
        [header.si().set(queue=header_queue) for _ in range(size)],
        gathered.s().set(queue=queue),
    )
