"""Sends a group and then a chord of Celery's built-in `celery.accumulate`, and says at which step they fail.

Runs in the terminal's process. Every message expires soon, and what is left of the probe is removed at its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from celery import Celery, chord, group
from kombu.utils.uuid import uuid

from chordwatch import instrumentation
from chordwatch.diagnosis.verdicts import pasted
from chordwatch.doctor.clean import Cleaner
from chordwatch.doctor.finding import Finding
from chordwatch.doctor.project import backend_kind
from chordwatch.errors import UnreachableError
from chordwatch.evidence.backend import BackendReader
from chordwatch.evidence.broker import BrokerReader
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.facts import ChordKeys
from chordwatch.evidence.messages import MessageReader
from chordwatch.text import plain

#: So long have workers for the group, and again for the chord, in seconds.
PATIENCE = 10.0
_PARTS = 4
_POLL = 0.1
_LOOK = 2.0
_TASK = "celery.accumulate"
_ENDED = frozenset({"SUCCESS", "FAILURE", "REVOKED"})


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the probe, in words."""

    what: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """The steps that were taken, the last of them failed where there is a `finding`."""

    steps: tuple[Step, ...]
    finding: Finding | None = None


class _FailedError(Exception):
    """A step failed: what it was, why, and what to do."""

    def __init__(self, what: str, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.what, self.reason, self.fix = what, reason, fix


def probe(app: Celery, queue: str | None = None, patience: float = PATIENCE) -> Probe:
    """Send the probe through `queue`, else through the one that the app routes the task to.

    Blocks for at most about twice `patience` seconds. This process records nothing from now on: a probe is no chord
    of the project's.
    """
    instrumentation.uninstrument(app)
    run = _Run(app, queue, patience)
    try:
        run.take()
    except _FailedError as failed:
        run.steps.append(Step(what=failed.what, passed=False))
        where = f"queue {plain(run.queue)}"
        finding = Finding(rule="probe", severity="error", where=where, reason=failed.reason, fix=failed.fix)
        return Probe(steps=tuple(run.steps), finding=finding)
    return Probe(steps=tuple(run.steps))


@dataclass(slots=True)
class _Run:
    """A probe on its way. `ids` are the tasks that were sent, `chord_id` the chord's group id."""

    app: Celery
    wanted: str | None
    patience: float
    steps: list[Step] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    chord_id: str = field(default_factory=uuid)

    @property
    def queue(self) -> str:
        """The queue's name."""
        if self.wanted:
            return self.wanted
        route = self.app.amqp.router.route({}, _TASK)
        return str(getattr(route.get("queue"), "name", None) or self.app.conf.task_default_queue)

    @property
    def backend_url(self) -> str:
        """The result backend, without password."""
        return plain(str(self.app.backend.as_uri(include_password=False)), 200)

    def take(self) -> None:
        """Go through the steps.

        Raises:
            _FailedError: one failed.
        """
        self._ready()
        cleaner = Cleaner(self.app, self.queue)
        cleaner.remember()
        try:
            self._group()
            self._chord()
        finally:
            cleaner.clean(self.ids, self.chord_id)

    def _ready(self) -> None:
        what = "This process has a result backend that counts chords."
        if backend_kind(self.app, Gaps()) == "none":
            raise _FailedError(what, "It has none, so it cannot send chords.", "Set result_backend to Redis.")
        if self.app.conf.task_always_eager:
            raise _FailedError(
                "This process sends tasks.",
                "task_always_eager is set, so it runs them itself.",
                "Set task_always_eager only in unit tests.",
            )

    def _group(self) -> None:
        sent = [uuid() for _ in range(_PARTS)]
        self._send(f"The broker takes messages for queue {plain(self.queue)}.", self._publish_group, sent)
        left = self._wait(sent)
        taken, stored = "A worker takes them.", f"Their results come to {self.backend_url}."
        if left and (why := self._untaken(left)):
            raise _FailedError(taken, *why)
        took = f"Workers took {len(left):,} of {len(sent):,} tasks, and"
        if left and not BrokerReader.can_read(self.app):
            # Here nobody can be asked whether a message was taken.
            stored = f"A worker takes them, and their results come to {self.backend_url}."
            took = (
                f"Of {len(left):,} of {len(sent):,} tasks it cannot be seen here whether a worker took them;"
            )
        else:
            self.steps.append(Step(what=taken, passed=True))
        if left:
            raise _FailedError(
                stored,
                f"{took} {self.patience:g} s later there is no result. Workers store results in another backend, "
                "database or under another prefix, cannot write, or are busy.",
                "Compare result_backend and result_backend_transport_options of workers and producers; see the "
                "workers' logs.",
            )
        self._succeeded(stored, sent)

    def _chord(self) -> None:
        header, body = [uuid() for _ in range(_PARTS)], uuid()
        self._send("The broker takes a chord.", self._publish_chord, [*header, body])
        left = self._wait([body])
        counted, published = "All its parts are counted.", "Its callback is published."
        done = "A worker takes the callback, and its result comes."
        if not left:
            self.steps += [Step(what=counted, passed=True), Step(what=published, passed=True)]
            self._succeeded(done, [body])
            return
        self._counted(counted, header)
        self.steps.append(Step(what=counted, passed=True))
        why = self._untaken([body])
        keys = self._keys()
        if not why and keys and keys.claim != "done":
            raise _FailedError(
                published,
                f"All {_PARTS} parts are counted, and {self.patience:g} s after it was sent the callback is not.",
                "See the log of the worker that took the last part.",
            )
        self.steps.append(Step(what=published, passed=True))
        fix = "See the workers' logs."
        raise _FailedError(done, *(why or ("The callback was taken, and no result of it came.", fix)))

    def _counted(self, what: str, header: list[str]) -> None:
        keys = self._keys()
        if keys is None or keys.claim == "done" or (keys.total is not None and keys.counted >= keys.total):
            return
        untaken = self._untaken(header)
        if untaken:
            raise _FailedError(what, *untaken)
        of = "an unknown number" if keys.total is None else f"{keys.total:,}"
        raise _FailedError(
            what,
            f"{keys.counted:,} of {of} parts are counted after {self.patience:g} s, and no message of theirs waits. "
            "Workers ran them and did not count them here.",
            "Compare result_backend and its transport options of all workers; see their logs.",
        )

    def _succeeded(self, what: str, ids: Iterable[str]) -> None:
        for task_id in ids:
            meta = self._meta(task_id)
            if meta.get("status") != "SUCCESS":
                error = f"{type(meta.get('result')).__name__}: {meta.get('result')}"
                raise _FailedError(
                    what,
                    f"{_TASK} ended as {plain(str(meta.get('status')))}, {plain(error, 300)}.",
                    "See the workers' logs.",
                )
        self.steps.append(Step(what=what, passed=True))

    def _send(self, what: str, publish: Callable[[list[str]], None], ids: list[str]) -> None:
        self.ids.extend(ids)
        try:
            publish(ids)
        except Exception as exc:
            raise _FailedError(
                what,
                f"It was refused: {type(exc).__name__}: {plain(str(exc), 300)}.",
                "Check the broker's memory, rights and the queue's declaration.",
            ) from exc
        self.steps.append(Step(what=what, passed=True))

    def _publish_group(self, ids: list[str]) -> None:
        # As single messages of a group: what a chord's header is.
        group([self._signature(task_id) for task_id in ids]).apply_async()

    def _publish_chord(self, ids: list[str]) -> None:
        *header, body = ids
        parts = [self._signature(task_id) for task_id in header]
        canvas = chord(parts, self._signature(None), app=self.app, task_id=self.chord_id)
        canvas.apply_async(task_id=body)

    def _signature(self, task_id: str | None) -> Any:
        options: dict[str, Any] = {"expires": 3 * self.patience, "ignore_result": False, "retry": False}
        if self.wanted:
            options["queue"] = self.wanted
        if task_id:
            options["task_id"] = task_id
        return self.app.signature(_TASK, args=(), immutable=task_id is not None, options=options)

    def _wait(self, ids: list[str]) -> list[str]:
        """Return those that did not end in time."""
        deadline = time.monotonic() + self.patience
        left = ids
        while (left := [i for i in left if self._meta(i).get("status") not in _ENDED]) and (
            time.monotonic() < deadline
        ):
            time.sleep(_POLL)
        return left

    def _meta(self, task_id: str) -> dict[str, Any]:
        try:
            meta: dict[str, Any] = self.app.backend.get_task_meta(task_id, cache=False)
        except Exception as exc:  # every kind of backend raises its own
            raise UnreachableError(
                f"The result backend at {self.backend_url} does not answer ({type(exc).__name__}); "
                "the probe ended before its last step."
            ) from exc
        return meta

    def _untaken(self, ids: list[str]) -> tuple[str, str] | None:
        """Return why no worker ran them, and the fix; None where they were taken, as far as the broker tells."""
        name = plain(self.queue)
        if not BrokerReader.can_read(self.app):
            told = self.app.control.inspect(timeout=_LOOK).active_queues() or {}
            if any(queue.get("name") == self.queue for queues in told.values() for queue in queues):
                return None
            return (
                f"No worker that answers reads queue {name}.",
                f"Start a worker with -Q {pasted(self.queue)}.",
            )
        gaps, budget = Gaps(), Budget(_LOOK)
        with closing(BrokerReader(self.app)) as broker:
            reader = MessageReader(gaps)
            waiting = {m.task_id for m in broker.messages([self.queue], reader, budget, gaps)} & set(ids)
            held = {m.task_id for m in broker.unacked(reader, budget, gaps)} & set(ids)
            length = broker.queues([self.queue], {})[0].length
        if waiting or (gaps.partial and length):
            return (
                f"No worker took it within {self.patience:g} s: queue {name} holds {length:,} messages.",
                f"Start a worker with -Q {pasted(self.queue)}, or more of them if they are busy.",
            )
        if held:
            return (
                f"A worker holds it and did not run it within {self.patience:g} s: all its processes are busy.",
                "Start more workers, or give long tasks a queue of their own.",
            )
        return None

    def _keys(self) -> ChordKeys | None:
        if backend_kind(self.app, Gaps()) != "redis":
            return None
        try:
            chords = BackendReader(self.app).read_chords([self.chord_id], Budget(_LOOK), Gaps())
        except UnreachableError:
            return None
        return chords.get(self.chord_id, ChordKeys(chord_id=self.chord_id))
