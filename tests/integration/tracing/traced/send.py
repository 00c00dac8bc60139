"""Sends one workflow, `TIMES` times, waits for its end, and prints its chords' ids: `send.py CASE [caller]`.

With `caller` everything is sent from within a span and with baggage, which this process exports itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys

from celery import chain, chord, group
from celery.canvas import _chord
from celery.result import AsyncResult
from opentelemetry import baggage, context, trace
from project import (
    BESIDE,
    add,
    app,
    double,
    fail,
    first,
    flaky,
    nap,
    swapped,
    tenant,
    total,
    trace_beside,
)

#: What a library that instruments the producer might write.
HEADERS = {"traceparent": f"00-{7:032x}-{9:016x}-01"}
CASES = {
    "plain": lambda: chord([add.s(1, 1), add.s(2), nap.s(0.5)], total.s()),
    "retries": lambda: chord([add.s(1), flaky.s(2)], total.s()),
    "fails": lambda: chord([add.s(1), fail.s()], total.s()),
    "callback_fails": lambda: chord([add.s(1), add.s(2)], fail.si()),
    "nested": lambda: chord([add.s(1), chord([add.s(1), add.s(2)], total.s())], total.s()),
    "nested_first": lambda: chord([chord([add.s(1), add.s(2)], total.s()), add.s(1)], total.s()),
    "nested_alone": lambda: chord([chord([add.s(1), add.s(2)], total.s()) for _ in range(2)], total.s()),
    "chord_as_callback": lambda: chord([add.s(1), add.s(2)], chord([total.s(), total.s()], total.s())),
    "chain_in_header": lambda: chord([add.s(1), chain(add.s(1), double.s(), double.s())], total.s()),
    "upgraded": lambda: chain(add.s(1), group(double.s(), double.s()), total.s(), double.s()),
    "two_chords": lambda: chain(
        group(add.s(1), add.s(2)), total.s(), group(double.s(), double.s()), total.s()
    ),
    "baggage": lambda: chord([tenant.s(), tenant.s()], chain(first.s(), tenant.s())),
    "replaced": lambda: chord([add.s(1), swapped.s()], total.s()),
    "foreign": lambda: chord([add.s(1).set(headers=HEADERS), add.s(2).set(headers=HEADERS)], total.s()),
    "slow": lambda: chord([nap.s(0), nap.s(0.2), nap.s(1)], total.s()),
    "large": lambda: chord([add.s(1) for _ in range(int(os.environ.get("PARTS", "140")))], total.s()),
}


def caller() -> contextlib.AbstractContextManager[object]:
    """Return a span of this process, with baggage."""
    from exporting import export  # noqa: PLC0415  # nothing of the SDK where nobody traces

    export()
    context.attach(baggage.set_baggage("tenant", "blue"))
    return trace.get_tracer("caller").start_as_current_span("request")


def value_of(result: AsyncResult) -> object:
    """Return a workflow's value, or the type of its error."""
    try:
        return result.get(timeout=60)
    except Exception as exc:  # noqa: BLE001  # whatever the task raised
        return type(exc).__name__


if BESIDE == "after":
    trace_beside()
dispatched: list[str] = []
run = _chord.run


def noted(*args: object, **kwargs: object) -> object:
    result = run(*args, **kwargs)
    dispatched.append(args[1].options["task_id"])
    return result


_chord.run = noted
with caller() if "caller" in sys.argv else contextlib.nullcontext():
    results = [CASES[sys.argv[1]]().apply_async() for _ in range(int(os.environ.get("TIMES", "1")))]
value = [value_of(result) for result in results][-1]
print(json.dumps({"chords": dispatched, "result": value}))
app.close()
