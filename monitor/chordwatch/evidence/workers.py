"""The workers, asked by Celery's remote control (`inspect`).

A worker that does not answer is not dead for that: a busy solo or gevent worker does not answer either.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal

from celery import Celery

from chordwatch.evidence.budget import Gaps
from chordwatch.evidence.facts import Worker, WorkerTask
from chordwatch.foreign import as_dict, as_int, as_list, as_moment, as_text, as_time
from chordwatch.text import plain

#: How long one question waits for answers, in seconds; all are asked at once.
TIMEOUT = 1.0
#: Workers answer in their `task_serializer`, which need not be ours. Never pickle, even where the app allows it.
_READABLE = ("json", "msgpack", "yaml")
_LIMITS_AGE = 60.0
#: Seconds. Between two looks of one diagnosis hardly a worker starts, and what is nowhere was so before it did.
_RECENTLY = 5.0
#: As `inspect registered` words it.
_RATE_LIMIT = re.compile(r"(.+) \[rate_limit=(?!None\])(.+)\]").fullmatch
_KINDS: tuple[Literal["active", "reserved", "scheduled"], ...] = ("active", "reserved", "scheduled")
_QUESTIONS = ("active_queues", "stats", *_KINDS)


class WorkerReader:
    """Asks an app's workers what they do, where needed, and at most once in `max_age` seconds. Not thread-safe."""

    def __init__(self, app: Celery, max_age: float) -> None:
        self._app = app
        self._control = type(app.control)(app)
        self._control.mailbox.accept = _READABLE
        # Celery asks in `task_serializer`; a worker that does not accept that drops the question and looks dead.
        self._control.mailbox.serializer = "json"
        self._max_age = max_age
        self._asked_at: float | None = None
        self._workers: tuple[Worker, ...] = ()
        self._replies = 0
        self._twins: tuple[str, ...] = ()
        self._limited_at: float | None = None
        self._limits: Mapping[str, str] = {}

    @contextmanager
    def always(self) -> Iterator[None]:
        """Ask at each call within this block."""
        kept, self._max_age = self._max_age, 0.0
        try:
            yield
        finally:
            self._max_age = kept

    def ask(self, gaps: Gaps, *, needed: bool = True) -> tuple[tuple[Worker, ...], float | None]:
        """Return the workers that answered and when they were asked (Unix seconds), None if they could not be.

        Unless `needed`, the last answers will do, however old they are.
        """
        now = time.time()
        if self._asked_at is None or (needed and now - self._asked_at >= self._max_age):
            answers = self._broadcast(gaps)
            if answers is None:
                return (), None
            self._workers, self._asked_at = tuple(_workers(answers, now)), now
        note_twins(self._twins, gaps)
        return self._workers, self._asked_at

    def rate_limits(self, gaps: Gaps) -> Mapping[str, str] | None:
        """Return the rate limits of the workers' tasks by task name, None where they could not be asked.

        Asked at most once in `_LIMITS_AGE` seconds: they hardly ever change.
        """
        now = time.time()
        if self._limited_at is None or now - self._limited_at >= _LIMITS_AGE:
            try:
                answers = self._put("registered", taskinfoitems=["rate_limit"])
            except Exception as exc:  # noqa: BLE001  # every transport raises its own kinds
                gaps.note(f"The workers could not be asked for rate limits ({type(exc).__name__}).")
                return None
            told = (
                as_text(entry) or ""
                for reply in answers
                for answer in reply.values()
                for entry in as_list(answer)
            )
            self._limits = {found[1]: found[2] for text in told if (found := _RATE_LIMIT(text))}
            self._limited_at = now
        return self._limits

    def _broadcast(self, gaps: Gaps) -> dict[str, dict[str, Any]] | None:
        """Put all questions at once: each waits its whole timeout, unless it is known how many will answer."""
        try:
            if self._asked_at is None:
                self._make_way()
            with ThreadPoolExecutor(len(_QUESTIONS), "chordwatch-inspect") as pool:
                replies = dict(zip(_QUESTIONS, pool.map(self._put, _QUESTIONS), strict=True))
        except Exception as exc:  # noqa: BLE001  # every transport raises its own kinds
            gaps.note(
                f"The workers could not be asked ({type(exc).__name__}); nothing is known of what they run."
            )
            return None
        self._replies = max(map(len, replies.values()))
        self._twins = twins(replies.values())
        return {question: by_name(answers) for question, answers in replies.items()}

    def _make_way(self) -> None:
        """Have kombu's filesystem transport write down an exchange for answers; threads that do so at once spoil it.

        From then on nobody there could ask anything: `Channel._queue_bind` of kombu 5.7 looks for its file, and locks
        it only once it is empty.
        """
        with self._app.connection_for_write() as connection:
            if connection.transport.driver_type == "filesystem":
                queue = self._control.mailbox.get_reply_queue()(connection.default_channel)
                queue.declare()
                queue.delete()

    def _put(self, question: str, **arguments: Any) -> list[dict[str, Any]]:
        # A connection of its own per thread; the reply queue's id is per thread in kombu's Mailbox.
        with self._app.connection_for_write() as connection:
            answers = self._control.broadcast(
                question,
                arguments=arguments,
                reply=True,
                timeout=TIMEOUT,
                limit=self._expected(),
                connection=connection,
            )
            return [as_dict(answer) for answer in answers or ()]

    def _expected(self) -> int | None:
        """Return after how many answers to wait no longer: as many as came a moment ago, None where nobody knows."""
        recently = self._asked_at is not None and time.time() - self._asked_at < _RECENTLY
        return self._replies or None if recently else None


def by_name(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the answers by worker. Celery's `flatten_reply` does the same, and warns on stderr of equal names."""
    return {name: answer for each in answers for name, answer in each.items()}


def twins(replies: Iterable[Sequence[Mapping[str, Any]]]) -> tuple[str, ...]:
    """Return the names under which several workers answered one question."""
    counts = (Counter(name for answer in answers for name in answer) for answers in replies)
    return tuple(sorted({name for times in counts for name, count in times.items() if count > 1}))


def note_twins(names: Iterable[str], gaps: Gaps) -> None:
    """Say which names several workers have: what the others of them do is not seen."""
    for name in names:
        gaps.note(
            f"Several workers are named {plain(name)}, and only one of them is seen: start each with a name of its "
            "own (-n)."
        )


def _workers(answers: dict[str, dict[str, Any]], asked_at: float) -> Iterator[Worker]:
    for hostname in sorted({name for answer in answers.values() for name in answer}):
        stats = as_dict(answers["stats"].get(hostname))
        uptime = as_int(stats.get("uptime"))
        queues = (as_text(as_dict(q).get("name")) for q in as_list(answers["active_queues"].get(hostname)))
        yield Worker(
            hostname=hostname,
            queues=tuple(queue for queue in queues if queue),
            concurrency=as_int(as_dict(stats.get("pool")).get("max-concurrency")),
            pid=as_int(stats.get("pid")),
            processes=tuple(
                pid
                for entry in as_list(as_dict(stats.get("pool")).get("processes"))
                if (pid := as_int(entry))
            ),
            started_at=None if uptime is None else asked_at - uptime,
            tasks=tuple(_tasks(answers, hostname)),
            told_tasks=all(hostname in answers[kind] for kind in _KINDS),
        )


def _tasks(answers: dict[str, dict[str, Any]], hostname: str) -> Iterator[WorkerTask]:
    for kind in _KINDS:
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
