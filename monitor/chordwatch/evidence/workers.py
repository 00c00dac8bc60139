"""The workers, asked by Celery's remote control (`inspect`).

A worker that does not answer is not dead for that: a busy solo or gevent worker does not answer either.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from celery import Celery
from celery.app.control import flatten_reply

from chordwatch.evidence.budget import Gaps
from chordwatch.evidence.facts import Worker, WorkerTask
from chordwatch.foreign import as_dict, as_int, as_list, as_moment, as_text, as_time

#: How long one question waits for answers, in seconds; all are asked at once.
TIMEOUT = 1.0
#: Workers answer in their `task_serializer`, which need not be ours. Never pickle, even where the app allows it.
_READABLE = ("json", "msgpack", "yaml")
_QUESTIONS = ("active_queues", "stats", "active", "reserved", "scheduled")


class WorkerReader:
    """Asks an app's workers what they do, at most once in `max_age` seconds. Not thread-safe."""

    def __init__(self, app: Celery, max_age: float) -> None:
        self._app = app
        self._control = type(app.control)(app)
        self._control.mailbox.accept = _READABLE
        self._max_age = max_age
        self._asked_at: float | None = None
        self._workers: tuple[Worker, ...] = ()

    def ask(self, gaps: Gaps) -> tuple[tuple[Worker, ...], float | None]:
        """Return the workers that answered and when they were asked (Unix seconds), None if they could not be."""
        now = time.time()
        if self._asked_at is None or now - self._asked_at >= self._max_age:
            answers = self._broadcast(gaps)
            if answers is None:
                return (), None
            self._workers, self._asked_at = tuple(_workers(answers)), now
        return self._workers, self._asked_at

    def _broadcast(self, gaps: Gaps) -> dict[str, dict[str, Any]] | None:
        """Put all questions at once: each waits its whole timeout, as nobody knows how many will answer."""
        try:
            with ThreadPoolExecutor(len(_QUESTIONS), "chordwatch-inspect") as pool:
                return dict(zip(_QUESTIONS, pool.map(self._put, _QUESTIONS), strict=True))
        except Exception as exc:  # noqa: BLE001  # every transport raises its own kinds
            gaps.note(
                f"The workers could not be asked ({type(exc).__name__}); nothing is known of what they run."
            )
            return None

    def _put(self, question: str) -> dict[str, Any]:
        # A connection of its own per thread; the reply queue's id is per thread in kombu's Mailbox.
        with self._app.connection_for_write() as connection:
            answers = self._control.broadcast(question, reply=True, timeout=TIMEOUT, connection=connection)
            return as_dict(flatten_reply(answers or ()))


def _workers(answers: dict[str, dict[str, Any]]) -> Iterator[Worker]:
    for hostname in sorted({name for answer in answers.values() for name in answer}):
        stats = as_dict(answers["stats"].get(hostname))
        queues = (as_text(as_dict(q).get("name")) for q in as_list(answers["active_queues"].get(hostname)))
        yield Worker(
            hostname=hostname,
            queues=tuple(queue for queue in queues if queue),
            concurrency=as_int(as_dict(stats.get("pool")).get("max-concurrency")),
            pid=as_int(stats.get("pid")),
            tasks=tuple(_tasks(answers, hostname)),
        )


def _tasks(answers: dict[str, dict[str, Any]], hostname: str) -> Iterator[WorkerTask]:
    kinds: tuple[Literal["active", "reserved", "scheduled"], ...] = ("active", "reserved", "scheduled")
    for kind in kinds:
        for entry in as_list(answers[kind].get(hostname)):
            answer = as_dict(entry)
            request = as_dict(answer.get("request")) if kind == "scheduled" else answer
            task_id, started = as_text(request.get("id")), request.get("time_start")
            if task_id:
                yield WorkerTask(
                    task_id=task_id,
                    name=as_text(request.get("name")) or as_text(request.get("type")),
                    kind=kind,
                    started_at=as_moment(started) if kind == "active" else None,
                    eta=as_time(answer.get("eta")),
                    queue=as_text(as_dict(request.get("delivery_info")).get("routing_key")),
                )
