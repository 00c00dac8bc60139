"""Settings that say what their owner did not mean. Pure; one function per rule, named as the rule."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from chordwatch.doctor.facts import Facts
from chordwatch.doctor.finding import Finding
from chordwatch.doctor.wording import some
from chordwatch.text import plain

#: Names that circulate and that Celery accepts without a word, with what there is instead.
_CHORDS_FAIL = (
    "Delete it: a failed header task always ends its chord with a ChordError, see chord.on_error()."
)
_OF_TASKS = "Delete it: this is an attribute of a task, as in @app.task({})."
_TRANSPORT = "Move it into broker_transport_options."
GHOSTS = {
    "chord_propagates": _CHORDS_FAIL,
    "celery_chord_propagates": _CHORDS_FAIL,
    "task_chord_propagates": _CHORDS_FAIL,
    "result_chord_propagates": _CHORDS_FAIL,
    "result_chord_ordered": "Move it into result_backend_transport_options.",
    "visibility_timeout": _TRANSPORT,
    "broker_visibility_timeout": _TRANSPORT,
    "priority_steps": _TRANSPORT,
    "queue_order_strategy": _TRANSPORT,
    "global_keyprefix": "Move it into broker_transport_options and result_backend_transport_options.",
    "task_max_retries": _OF_TASKS.format("max_retries=3"),
    "task_default_max_retries": _OF_TASKS.format("max_retries=3"),
    "task_default_retry_delay": _OF_TASKS.format("default_retry_delay=10"),
    "task_retry_delay": _OF_TASKS.format("default_retry_delay=10"),
    "chord_join_timeout": "Its name is result_chord_join_timeout.",
    "chord_retry_interval": "Its name is result_chord_retry_interval.",
    "chord_expires": "Its name is result_chord_expires (Celery 5.7).",
    "celery_chord_retry_interval": "Its name is result_chord_retry_interval.",
    "worker_queues": "Name the queues in task_queues, or start the worker with -Q.",
}
#: So alike must two names be that one is taken for the other: a letter or two in a usual name.
_ALIKE = 0.9
#: Shorter names are like others by chance.
_SHORTEST = 8


def unknown_setting(facts: Facts, known: frozenset[str]) -> Iterator[Finding]:
    """Celery accepts any name and ignores those that it does not know; `known` are those that it and we do."""
    for given in facts.given:
        name = given.lower()
        if name in known:
            continue
        bare = name.removeprefix("celery_")
        if name in GHOSTS:
            yield _ignored(given, GHOSTS[name])
        elif bare != name and bare in known:
            # Who set it in both ways means it for something else, as `Celery(broker=settings.CELERY_BROKER_URL)`.
            if bare not in {other.lower() for other in facts.given}:
                yield _ignored(given, f"Write {bare}, or call config_from_object with namespace='CELERY'.")
        elif len(name) >= _SHORTEST:
            close = difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)
            if close:
                yield _ignored(given, f"Did you mean {close[0]}?")


def _ignored(given: str, fix: str) -> Finding:
    return Finding(
        rule="unknown_setting",
        severity="warning",
        where=plain(given),
        reason=f"There is no setting {plain(given)}; Celery ignores it silently.",
        fix=fix,
    )


def always_eager(facts: Facts) -> Iterator[Finding]:
    """Then nothing is sent: the calling process runs the tasks itself."""
    eager = [name for name, value in facts.values("task_always_eager") if value]
    if eager:
        yield Finding(
            rule="always_eager",
            severity="warning",
            where="task_always_eager",
            reason=f"Tasks run at once instead of being sent, in {some(eager)}: chords block their caller, use no "
            "worker and are not seen by any monitor.",
            fix="Set task_always_eager only in unit tests.",
        )


def unbounded_redelivery(facts: Facts) -> Iterator[Finding]:
    """A task that kills its process comes back at once, for ever."""
    # RabbitMQ's quorum queues count deliveries and give up.
    quorum = any(value == "quorum" for _, value in facts.values("task_default_queue_type"))
    if quorum and facts.transport not in _REDIS:
        return
    if facts.tasks:
        again = [
            task.name
            for task in facts.tasks
            if task.acks_late and task.reject_on_worker_lost and not task.retry_on_worker_lost
        ]
    else:
        late = {name for name, value in facts.values("task_acks_late") if value}
        bounded = {name for name, value in facts.values("task_retry_on_worker_lost") if value}
        rejecting = {name for name, value in facts.values("task_reject_on_worker_lost") if value}
        again = sorted((late & rejecting) - bounded)
    if again:
        yield Finding(
            rule="unbounded_redelivery",
            severity="warning",
            where="task_reject_on_worker_lost",
            reason=f"{some(again)}: a task that kills its process (out of memory, a crash in native code) is put back "
            "into its queue without a bound, kills the next one, and its chord never ends.",
            fix="Use task_retry_on_worker_lost (Celery 5.7) instead, which counts against max_retries; "
            "before that, limit memory and count the starts in the task.",
        )


_REDIS = ("redis", "rediss", "sentinel", "redis+socket")
RULES = (always_eager, unbounded_redelivery)
