"""The workers' configuration, queues and tasks, as Celery's remote control tells them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery import Celery

from chordwatch.doctor.facts import Process, Worker
from chordwatch.evidence.budget import Gaps
from chordwatch.evidence.workers import by_name, note_twins, twins
from chordwatch.foreign import as_dict, as_int, as_list, as_text
from chordwatch.settings import shown_url

#: How long workers have to answer, in seconds; all questions are put at once, and each waits so long.
PATIENCE = 2.0
#: Workers answer in their `task_serializer`, which need not be ours. Never pickle, even where the app allows it.
_READABLE = ("json", "msgpack", "yaml")
#: Question to its arguments. Without an attribute that exists, `registered` tells the bare names.
_QUESTIONS: Mapping[str, dict[str, Any]] = {
    "active_queues": {},
    "stats": {},
    "conf": {"with_defaults": True},
    "registered": {"taskinfoitems": ["_none"]},
    "report": {},
}
#: `report` is a text for people; of the backend it tells the URL in effect, also where the environment sets it.
_BACKEND = re.compile(r"\bresults:(\S+)").search


def ask_workers(app: Celery, gaps: Gaps) -> tuple[Worker, ...] | None:
    """Return the workers that answered, None where they could not be asked."""
    # A worker drops what it does not accept, questions too; and that it does is worth a finding.
    serializers = {"json", str(app.conf.task_serializer)}
    asked = [(question, serializer) for serializer in sorted(serializers) for question in _QUESTIONS]
    try:
        with ThreadPoolExecutor(len(asked), "chordwatch-doctor") as pool:
            replies = list(pool.map(lambda one: _put(app, *one), asked))
    except Exception as exc:  # noqa: BLE001  # every transport raises its own kinds
        gaps.note(
            f"The workers could not be asked ({type(exc).__name__}); what depends on them was not checked."
        )
        return None
    answers: dict[str, dict[str, Any]] = {question: {} for question in _QUESTIONS}
    for (question, _), reply in zip(asked, replies, strict=True):
        answers[question] |= by_name(reply)
    note_twins(twins(replies), gaps)
    names = sorted({name for answer in answers.values() for name in answer})
    return tuple(_worker(name, {q: answer.get(name) for q, answer in answers.items()}) for name in names)


def _put(app: Celery, question: str, serializer: str) -> list[dict[str, Any]]:
    control = type(app.control)(app)
    control.mailbox.accept, control.mailbox.serializer = _READABLE, serializer
    # A connection of its own per thread; the reply queue's id is per thread in kombu's Mailbox.
    with app.connection_for_write() as connection:
        arguments = _QUESTIONS[question]
        replies = control.broadcast(
            question, arguments=arguments, reply=True, timeout=PATIENCE, connection=connection
        )
        return [as_dict(reply) for reply in replies or ()]


def _worker(name: str, told: Mapping[str, Any]) -> Worker:
    stats, registered = as_dict(told["stats"]), told["registered"]
    queues = (as_text(as_dict(queue).get("name")) for queue in as_list(told["active_queues"]))
    return Worker(
        process=Process(name=name, conf=as_dict(told["conf"]), backend=_backend(told)),
        queues=frozenset(queue for queue in queues if queue),
        registered=frozenset(map(str, registered)) if isinstance(registered, list) else None,
        concurrency=as_int(as_dict(stats.get("pool")).get("max-concurrency")),
        prefetch=as_int(stats.get("prefetch_count")),
    )


def _backend(told: Mapping[str, Any]) -> str | None:
    report, conf = as_text(as_dict(told["report"]).get("ok")), as_dict(told["conf"])
    found = _BACKEND(report) if report else None
    if found:
        return shown_url(found[1])
    return shown_url(as_text(conf.get("result_backend")) or "disabled") if conf else None
