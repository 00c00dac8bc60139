"""Sends one chord of each kind, as a web process does; prints their ids by kind, as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from celery import chord
from shop import FOR_EVER, album, check, fetch, load, publish, resize, section, upload, write
from shop import send as send_invoices


def lost() -> Any:
    """Return a chord whose last part runs at the worker that is to be killed."""
    return chord([*(resize.s(0.05 * n) for n in range(10)), resize.s(FOR_EVER).set(queue="images")])(
        album.s()
    )


def unread() -> Any:
    """Return a chord whose last two parts lie in a queue that nobody reads."""
    return chord(
        [*(section.s(0.1) for _ in range(3)), *(section.s(1).set(queue="reports") for _ in range(2))]
    )(publish.s())


def running() -> Any:
    """Return a chord whose last part is under way and will be for long."""
    return chord([*(write.s(0.1) for _ in range(4)), write.s(FOR_EVER)])(upload.s())


def retried() -> Any:
    """Return a chord that finishes, of which one part is refused twice and one takes longer than the others."""
    return chord([fetch.s(0.2), fetch.s(0.3), fetch.s(0.2, refusals=2), fetch.s(6.0)])(load.s())


def nested() -> Any:
    """Return a chord of which one part is a chord, of which a part lies in a queue that nobody reads."""
    inner = chord([section.s(0.1), section.s(1).set(queue="reports")], publish.s())
    return chord([resize.s(0.1), inner])(album.s())


def failed() -> Any:
    """Return a chord of which one part fails."""
    return chord([check.s(number) for number in range(5)])(send_invoices.s())


KINDS: tuple[Callable[[], Any], ...] = (retried, failed, lost, unread, nested, running)
print(json.dumps({kind.__name__: kind().parent.id for kind in KINDS}))
