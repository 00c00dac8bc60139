"""The chords of the cases, by the cases' names. Unless a case says otherwise, the second part is the one at fault."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from celery import chain, chord, group
from celery.canvas import Signature
from celery.signals import after_task_publish
from project import (
    TWO_HOURS,
    add,
    app,
    boom,
    collect,
    come_back,
    die,
    die_again,
    held,
    held_callback,
    held_late,
    held_late_callback,
    ignore,
    limited,
    nap,
    never_sent,
    promise_more,
    quiet,
    refused,
    reject_again,
    takes_nothing,
    try_again,
    uncounted,
    vanish,
    wait_for_child,
)

WELL = add.si(1, 1)
CHORDS: dict[str, Callable[[], Signature]] = {}


def case(build: Callable[[], Signature]) -> Callable[[], Signature]:
    """Make a chord available under its function's name."""
    CHORDS[build.__name__] = build
    return build


def flat(name: str, part: Callable[[], Signature], callback: Callable[[], Signature] = collect.s) -> None:
    """Make a chord of one part that is well, and one more."""
    CHORDS[name] = lambda: chord([WELL.clone(), part()], callback())


flat("healthy", WELL.clone)
flat("nap", lambda: nap.s(1.0))
flat("try_again", try_again.s)
flat("short_running", lambda: held.s("open"))
flat("long_running", lambda: held.s("for_ever"))
flat("callback_runs", WELL.clone, lambda: held_callback.s("for_ever"))

flat("kill_worker_early", lambda: held.s("for_ever").set(queue="victim"))
flat("kill_worker_and_start_it_again", lambda: held.s("for_ever").set(queue="reborn"))
flat("kill_worker_late", lambda: held_late.s("for_ever").set(queue="victim"))
flat("kill_worker_with_callback", WELL.clone, lambda: held_callback.s("for_ever").set(queue="victim"))
flat("killed_between_brpop_and_unacked", lambda: vanish.s().set(queue="vanish"))
flat("cold_shutdown", lambda: held.s("for_ever").set(queue="cold"))
flat("worker_frozen", lambda: held.s("for_ever").set(queue="frozen"))
flat("worker_offline", WELL.clone)
flat("consumer_cancelled", WELL.clone)

flat("kill_child_early", die.s)
flat("kill_child_requeue_loop", die_again.s)
flat("raise_reject_requeue", reject_again.s)
flat("killed_between_result_and_count", uncounted.s)
flat("killed_before_body_publish", WELL.clone, never_sent.s)

flat("raise_ignore", ignore.s)
flat("header_raises", boom.s)
flat("header_unregistered", lambda: app.signature("project.missing"))
flat("header_content_disallowed", lambda: WELL.clone().set(serializer="pickle"))
flat("header_queue_unconsumed", lambda: WELL.clone().set(queue="nobody"))
flat("header_expired", lambda: WELL.clone().set(expires=-60))
flat("header_revoked_queued", lambda: WELL.clone().set(queue="opened_later"))
flat("retry_far", come_back.s)
flat("eta_far", lambda: WELL.clone().set(countdown=TWO_HOURS))
flat("add_to_chord_lazy_lost", promise_more.s)

flat("body_raises", WELL.clone, boom.s)
flat("body_unregistered", WELL.clone, lambda: app.signature("project.missing_too"))
flat("body_args_mismatch", WELL.clone, takes_nothing.s)
flat("body_publish_error", WELL.clone, refused.s)
flat("body_revoked", lambda: WELL.clone().set(countdown=TWO_HOURS))
flat("body_queue_unconsumed", WELL.clone, lambda: collect.s().set(queue="nobody_else"))

flat("duplicate_header_delivery", lambda: held_late.s("duplicate_header_delivery"))
flat("duplicate_callback_delivery", WELL.clone, lambda: held_late_callback.s("duplicate_callback_delivery"))
for name in (
    "expires_short",
    "chord_expires_short",
    "backend_flushed",
    "size_key_evicted",
    "backend_oom_noeviction",
):
    flat(name, lambda name=name: held.s(name))
flat("backend_mismatch", WELL.clone)


@case
def rate_limited() -> Signature:
    return chord([limited.s(), limited.s()], collect.s())


@case
def deadlock_get() -> Signature:
    return chord([WELL.clone().set(queue="small"), wait_for_child.s("small").set(queue="small")], collect.s())


@case
def prefetch_hoarding() -> Signature:
    return chord([add.s(1, n).set(queue="hoard") for n in range(2)], collect.s())


@case
def behind_a_long_task() -> Signature:
    """Let many parts wait for the only slot of a worker."""
    short = [WELL.clone().set(queue="narrow") for _ in range(200)]
    return chord([held.s("behind_a_long_task").set(queue="narrow"), *short], collect.s())


@case
def nested_chord_inner_header_fails() -> Signature:
    inner = chord([WELL.clone(), boom.s()], collect.s())
    return chord([WELL.clone(), inner], collect.s())


@case
def blocked_by_chord() -> Signature:
    inner = chord([WELL.clone(), WELL.clone().set(queue="nobody")], collect.s())
    return chord([WELL.clone(), inner], collect.s())


@case
def complex_header_join_timeout() -> Signature:
    return chord([WELL.clone(), chain(quiet.si(1), group(quiet.si(2), quiet.si(3)))], collect.s())


@case
def upstream_failed() -> Signature:
    return chain(boom.s(), chord([WELL.clone(), WELL.clone()], collect.s()))


@case
def frozen_chord_reapplied() -> Signature:
    twice = chord([WELL.clone(), WELL.clone()], collect.s())
    twice.freeze()
    twice.apply_async()
    return twice


@case
def producer_encode_error_midway() -> Signature:
    header = [WELL.clone(), WELL.clone(), add.si(1, object()), WELL.clone()]
    return chord(header, collect.s(), task_id=str(uuid4()))


@case
def producer_dies_midway() -> Signature:
    """Let the process that publishes this one die after the second of four messages."""
    sent: list[str] = []

    def die_after_two(**_: Any) -> None:
        sent.append("one")
        if len(sent) == 2:
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)

    after_task_publish.connect(die_after_two, weak=False)
    return chord([WELL.clone() for _ in range(4)], collect.s(), task_id=str(uuid4()))
