"""The catalogue: everything the demo can play, by name, with what is to come of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tasks import faults, images, orders, reports, shapes, uploads, workflows
from tasks.launch import Started, launch

Expected = Literal["done", "failed", "open", "hung", "waiting", "planned", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing to play.

    `expected` is what becomes of the chord: `done`, `failed`, `waiting`, `hung` (and it can be seen why),
    `open` (for ever, and nothing in sight says why), `planned` (it stays ahead in a chain that has ended before
    it), or `none` where there never is a chord.
    `seconds` is about how long that takes while the workers have nothing else to do.
    """

    name: str
    description: str
    start: Callable[[], Started]
    expected: Expected
    seconds: float
    is_fault: bool = False


def _pipeline(name: str, description: str, expected: Expected, seconds: float) -> Scenario:
    def start() -> Started:
        payload = {"raw": "Hello  World", "scenario": name}
        return workflows.start("demo", "PIPELINE", payload)[1]

    return Scenario(name=name, description=description, start=start, expected=expected, seconds=seconds)


def _shape(canvas: Callable[[], object], description: str, expected: Expected, seconds: float) -> Scenario:
    def start() -> Started:
        return launch(canvas())

    return Scenario(
        name=canvas.__name__, description=description, start=start, expected=expected, seconds=seconds
    )


def _fault(start: Callable[[], Started], description: str, expected: Expected, seconds: float) -> Scenario:
    return Scenario(
        name=start.__name__,
        description=description,
        start=start,
        expected=expected,
        seconds=seconds,
        is_fault=True,
    )


def order_chain() -> object:
    return orders.order(uuid.uuid4().hex[:8], "teapot", 2)


def image_batch() -> object:
    return images.batch(6, broken=1, title="holiday")


def upload_batch() -> object:
    return uploads.batch({"a.bin": 0, "b.bin": 2, "c.bin": 9})


def report() -> object:
    return reports.report("on demand", 1.0)


_PIPELINES = (
    _pipeline("happy", "The pipeline A -> (B | C) -> D with a model service that answers.", "done", 1),
    _pipeline("flaky", "Each of A, B and C gets two HTTP 500 before it succeeds.", "done", 13),
    _pipeline("slow", "Each of A, B and C runs into two timeouts before it succeeds.", "done", 33),
    _pipeline(
        "down", "A uses up its retries; B, C and D never run, so the chord stays planned.", "planned", 15
    ),
    _pipeline("partial_fail", "B uses up its retries, C succeeds, D never runs: ChordError.", "failed", 11),
)
_SHAPES = (
    _shape(image_batch, "Six images are resized and watermarked; one is broken and reported.", "done", 4),
    _shape(upload_batch, "Uploads with retries; one never succeeds and is part of the summary.", "done", 6),
    _shape(order_chain, "Reserve, ship, confirm: a chain on the critical queue, no chord.", "none", 1),
    _shape(report, "Four regions are counted and combined, as Beat does every morning.", "done", 3),
    _shape(shapes.two_stages, "The first callback fans out again and is awaited: self.replace().", "done", 2),
    _shape(shapes.shared_context, "All parts and the callback get the same context.", "done", 1),
    _shape(shapes.growing_header, "A part adds two more to its own chord: add_to_chord().", "done", 2),
    _shape(shapes.empty_header, "A chord without a header: the callback runs at once.", "none", 1),
    _shape(shapes.nested, "A chord in the header of another.", "done", 2),
    _shape(shapes.group_then_task, "Celery upgrades group | task to a chord.", "done", 1),
    _shape(shapes.chains_in_header, "A header of two chains.", "done", 2),
    _shape(shapes.immutable_callback, "A callback that ignores the results: .si().", "done", 1),
    _shape(shapes.chunks, "Ten calls in three messages: chunks().", "done", 1),
    _shape(shapes.link_error, "A part fails and the callback's errback is sent.", "failed", 1),
    _shape(shapes.link_error_on_header, "A part fails; it and the callback have errbacks.", "failed", 1),
    _shape(shapes.dead_letter, "A part fails and the failure is parked on dead_letter.", "failed", 1),
)
_FAULTS = (
    _fault(faults.worker_killed, "A worker is killed while it runs a part.", "open", 2),
    _fault(faults.queue_unconsumed, "A part is routed to a queue that nobody consumes.", "hung", 1),
    _fault(
        faults.callback_queue_unconsumed, "The callback is routed to a queue that nobody consumes.", "hung", 1
    ),
    _fault(faults.header_ignored, "A part raises Ignore() and is never counted.", "open", 1),
    _fault(faults.producer_dies, "The producer dies after two of four messages.", "open", 1),
    _fault(faults.size_key_deleted, "The number of parts is deleted from the result backend.", "open", 4),
    _fault(faults.retry_in_two_hours, "A part retries in two hours.", "waiting", 1),
    _fault(faults.nested_failure, "An inner chord fails, and the outer one never hears of it.", "open", 1),
)

#: All of it, by name.
SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in (*_PIPELINES, *_SHAPES, *_FAULTS)}
