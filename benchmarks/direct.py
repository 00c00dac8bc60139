"""The direct cost of the hooks: CPU of the whole process with hooks on minus off, on the real signal sends.

One process. Chords are published for real and read back from the broker; their requests, messages and the signals'
own arguments are then used once, by one leg of a task's life: `published` in the producer, `received` in the
worker's main process, `ran` (pre-run, success, post-run) in the pool child. Hooks are switched for each block, in
shuffled order. Chord blocks go at the pace of a busy worker, so that the background flush does its real work;
bursts of a chord's tasks, plain tasks and groups go as fast as they can: what the hooks cost by themselves.

Run as `python -m benchmarks.direct ROUNDS VARIANT...`: prints JSON, CPU seconds per task.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from celery import group, signals
from celery.app.task import Context
from celery.worker.request import Request

import chordwatch
from benchmarks.project import app, no_op_chord, nothing
from benchmarks.variants import (
    BARE,
    CONTROL,
    OTEL,
    TRACED,
    instrument_chordwatch,
    instrument_otel,
    instrument_traced,
    say_otel_is_on,
)

QUEUE = "direct"
TASKS = 500
#: 1,000 tasks a second, what one pool child does of no-op tasks. A chunk must be shorter than what waits for a flush:
#: one of the same length would meet every flush awake, and make it cheaper than it is.
CHUNK, PACE_SECONDS = 10, 0.01
#: Longer than any variant waits before it flushes.
SETTLE_SECONDS = 0.12
SIGNALS = (
    signals.before_task_publish,
    signals.after_task_publish,
    signals.task_received,
    signals.task_prerun,
    signals.task_success,
    signals.task_postrun,
)
SHAPES = ("chord", "burst", "group", "plain")
#: Bursts, groups and plain tasks take part in every third round.
EVERY = 3
LEGS = ("published", "received", "ran")


class Switch:
    """Keeps the receivers that each variant connected, and connects those of one variant at a time."""

    def __init__(self, variants: Sequence[str]) -> None:
        nobody = [list(signal.receivers) for signal in SIGNALS]
        self._receivers = {BARE: nobody, CONTROL: nobody}
        self._flush: dict[str, Callable[[], int]] = {}
        for variant in variants:
            self.to(BARE)
            self._flush[variant] = _instrument(variant)
            self._receivers[variant] = [list(signal.receivers) for signal in SIGNALS]
        self.to(BARE)

    @property
    def variants(self) -> list[str]:
        """All that can be switched to."""
        return list(self._receivers)

    def to(self, variant: str) -> None:
        """Connect the receivers of one variant alone."""
        say_otel_is_on(variant == OTEL)
        for signal, receivers in zip(SIGNALS, self._receivers[variant], strict=True):
            signal.receivers[:] = receivers  # Celery's tracer keeps the list itself
            signal.sender_receivers_cache.clear()

    def flush(self, variant: str) -> int:
        """Let a variant export the spans that it would within seconds; return how many there were."""
        return self._flush.get(variant, int)()


def _instrument(variant: str) -> Callable[[], int]:
    if variant == OTEL:
        return instrument_otel(app)
    if variant == TRACED:
        chordwatch.uninstrument(app)  # the receivers of the other variant were kept, and go on
        return instrument_traced(app)
    instrument_chordwatch(app)
    return int


def publish(shape: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Publish `TASKS` tasks; return the arguments of both publish signals of each."""
    before: list[dict[str, Any]] = []
    after: list[dict[str, Any]] = []

    def saw_before(signal: Any, **arguments: Any) -> None:  # noqa: ARG001  # the name is Celery's
        before.append(arguments)

    def saw_after(signal: Any, **arguments: Any) -> None:  # noqa: ARG001  # as above
        after.append(arguments)

    signals.before_task_publish.connect(saw_before)
    signals.after_task_publish.connect(saw_after)
    if shape in ("chord", "burst"):
        no_op_chord(TASKS, header_queue=QUEUE, queue=QUEUE).apply_async()
    elif shape == "group":
        group(nothing.si() for _ in range(TASKS)).apply_async(queue=QUEUE)
    else:
        for _ in range(TASKS):
            nothing.apply_async(queue=QUEUE)
    signals.before_task_publish.disconnect(saw_before)
    signals.after_task_publish.disconnect(saw_after)
    return list(zip(before, after, strict=True))


def requests() -> Iterator[Request]:
    """Take the published messages from the broker, each as the request that a worker makes of it."""
    with app.connection_for_read() as connection, connection.channel() as channel:
        while (message := channel.basic_get(QUEUE, no_ack=True)) is not None:
            message.payload  # noqa: B018  # Celery's strategy has decoded the body before it makes the request
            yield Request(
                message,
                app=app,
                hostname="direct@bench",
                task=app.tasks[nothing.name],
                body=message.body,
                headers=message.headers,
                decoded=False,
                utc=True,
            )


def context(request: Request) -> Context:
    """Return what a pool child pushes while it runs a request."""
    args, kwargs, embed = json.loads(request.body)
    fields = request.request_dict | embed
    return Context(
        fields, args=args, kwargs=kwargs, hostname="direct@bench", is_eager=False, called_directly=False
    )


def published(shape: str) -> Callable[[int], None]:
    """Return what publishes task number n, as far as its signals go."""
    sends = publish(shape)
    empty_queue()

    def one(number: int) -> None:
        before, after = sends[number]
        signals.before_task_publish.send(**before)
        signals.after_task_publish.send(**after)

    return one


def received(shape: str) -> Callable[[int], None]:
    """Return what receives task number n."""
    publish(shape)
    taken = list(requests())
    consumer = app.WorkController(hostname="direct@bench", pool_cls="solo")

    def one(number: int) -> None:
        signals.task_received.send(sender=consumer, request=taken[number])

    return one


def ran(shape: str) -> Callable[[int], None]:
    """Return what runs task number n, as far as its signals go; the tracer sends none that nobody receives."""
    publish(shape)
    task = app.tasks[nothing.name]  # `nothing` itself is a proxy, which a worker never sees
    contexts = [context(request) for request in requests()]

    def one(number: int) -> None:
        request = contexts[number]
        task.request_stack.push(request)
        named = {"task_id": request.id, "task": task, "args": request.args, "kwargs": request.kwargs}
        if signals.task_prerun.receivers:
            signals.task_prerun.send(sender=task, **named)
        if signals.task_success.receivers:
            signals.task_success.send(sender=task, result=None, runtime=0.0)
        if signals.task_postrun.receivers:
            signals.task_postrun.send(sender=task, **named, retval=None, state="SUCCESS")
        task.request_stack.pop()

    return one


def empty_queue() -> None:
    """Throw away what was published."""
    with app.connection_for_write() as connection, connection.channel() as channel:
        channel.queue_purge(QUEUE)


def cpu_per_task(leg: str, shape: str, variant: str, switch: Switch) -> float:
    """Return the CPU seconds per task of one block."""
    # What a worker gets was published under the same variant: with its trace, if there is one.
    switch.to(BARE if leg == "published" else variant)
    one = {"published": published, "received": received, "ran": ran}[leg](shape)
    switch.to(BARE)
    time.sleep(SETTLE_SECONDS)  # what publishing itself left for the background
    switch.flush(variant)
    gc.collect()
    gc.freeze()  # what the benchmark itself keeps is nobody's cost
    switch.to(variant)
    before = time.process_time()
    tick = time.monotonic()
    for start in range(0, TASKS, CHUNK):
        for number in range(start, start + CHUNK):
            one(number)
        if shape == "chord":
            tick += PACE_SECONDS
            time.sleep(max(0.0, tick - time.monotonic()))
    time.sleep(SETTLE_SECONDS)
    spans = switch.flush(variant)
    used = time.process_time() - before
    traced = {OTEL: SHAPES, TRACED: SHAPES[:2]}.get(variant, ()) if leg != "received" else ()
    assert spans == (TASKS if shape in traced else 0), f"{variant}, {leg}, {shape}: {spans} spans"
    switch.to(BARE)
    gc.unfreeze()
    return used / TASKS


def main() -> None:
    """Print for each leg, shape and variant the CPU seconds per task of each round."""
    rounds, variants = int(sys.argv[1]), sys.argv[2:]
    switch = Switch(variants)
    found: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        # Chords are what is measured; of the others it is only asked whether they cost anything.
        shapes = SHAPES if number % EVERY == 1 else SHAPES[:1]
        blocks = [(leg, shape, variant) for leg in LEGS for shape in shapes for variant in switch.variants]
        for block in random.sample(blocks, len(blocks)):
            used = cpu_per_task(*block, switch)
            if number:  # the first round pays for imports, connections and caches
                found.setdefault(" / ".join(block), []).append(used)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
