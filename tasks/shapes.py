"""The forms a chord can take, one small function for each; every function returns a canvas to publish."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Signature, chord, group

from tasks.celery import app
from tasks.errbacks import notify, park

LIMITS = {"soft_time_limit": 20, "time_limit": 30}


class PartError(Exception):
    """A part of the work failed for good."""


@app.task(**LIMITS)
def square(number: int, seconds: float = 0.2) -> int:
    time.sleep(seconds)
    return number * number


@app.task
def total(numbers: list[Any]) -> int:
    """Add up; lists among the numbers are added up too."""
    return sum(total(number) if isinstance(number, list) else number for number in numbers)


@app.task
def fail(text: str) -> None:
    raise PartError(text)


@app.task
def announce(text: str) -> str:
    return text


@app.task
def listing(source: str) -> list[int]:
    """Find out what there is to do in `source`."""
    return [len(source) + number for number in range(2)]


@app.task(bind=True)
def second_stage(self: Any, listings: list[list[int]]) -> None:
    """Fan out again. The caller's result is that of the second callback, because it takes over this id."""
    numbers = [number for numbers in listings for number in numbers]
    raise self.replace(chord([square.s(number) for number in numbers], total.s()))


@app.task(**LIMITS)
def price(item: str, *, context: dict[str, Any]) -> float:
    time.sleep(0.2)
    return float(len(item) * context["rate"])


@app.task
def invoice(prices: list[float], *, context: dict[str, Any]) -> dict[str, Any]:
    return {"customer": context["customer"], "sum": round(sum(prices), 2)}


@app.task(bind=True, **LIMITS)
def crawl(self: Any, page: int, depth: int) -> int:
    """Visit a page; each link found becomes one more part of the chord that this task is a part of."""
    time.sleep(0.2)
    if depth:
        self.add_to_chord(crawl.s(page + 1, depth - 1))
    return page


def two_stages() -> Signature:
    return chord([listing.s("red"), listing.s("green")], second_stage.s())


def shared_context() -> Signature:
    """Return a chord whose parts and callback all get the same context as a keyword argument."""
    context = {"customer": "C-42", "rate": 1.5}
    return chord([price.s(item, context=context) for item in ("tea", "bread")], invoice.s(context=context))


def growing_header() -> Signature:
    """Return a chord of two parts, one of which adds two more while it runs."""
    return chord([crawl.s(1, depth=2), crawl.s(10, depth=0)], total.s())


def empty_header() -> Signature:
    """Return a chord of nothing: Celery sends the callback at once, with an empty list."""
    return chord([], total.s())


def nested() -> Signature:
    """Return a chord with a chord in its header; the inner callback is the part that counts."""
    inner = chord([square.s(1), square.s(2)], total.s())
    return chord([inner, square.s(3)], total.s())


def group_then_task() -> Signature:
    return group(square.s(number) for number in range(4)) | total.s()


def chains_in_header() -> Signature:
    return chord([square.s(2) | square.s(), square.s(3) | square.s()], total.s())


def immutable_callback() -> Signature:
    """Return a chord whose callback does not care for the results: .si() instead of .s()."""
    return chord([square.s(number) for number in range(3)], announce.si("all done"))


def chunks() -> Signature:
    """Return a chord of ten squares in three messages."""
    return chord(square.chunks([(number, 0.05) for number in range(10)], 4).group(), total.s())


def failing_header() -> list[Signature]:
    return [square.s(1), fail.s("no such part"), square.s(2)]


def link_error() -> Signature:
    """Return a chord that fails and says so: the errback stands on the callback, which never runs."""
    return chord(failing_header(), total.s().on_error(notify.si("the sum is missing")))


def link_error_on_header() -> Signature:
    """Return a chord that fails, with an errback on every part and on the callback."""
    canvas = chord(failing_header(), total.s())
    with _errbacks_on_header():
        canvas.link_error(notify.si("a part or the sum is missing"))
    return canvas


@contextmanager
def _errbacks_on_header() -> Iterator[None]:
    """Switch the setting on for one chord; it is read when the errback is linked, by the producer alone."""
    app.conf.task_allow_error_cb_on_chord_header = True
    try:
        yield
    finally:
        app.conf.task_allow_error_cb_on_chord_header = False


def dead_letter() -> Signature:
    """Return a chord that fails for good and is parked for a person to look at."""
    return chord(failing_header(), total.s().on_error(park.s()))
