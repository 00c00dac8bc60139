"""The heartbeat of a worker's main process.

    heartbeats = Heartbeats(connect, boot=lambda: recorder.boot, interval=settings.heartbeat_interval)
    heartbeats.start(consumer)  # at `worker_ready`, whose sender is the consumer; without effect after a reconnect
    heartbeats.stop()           # at `worker_shutdown`: says goodbye, within a second

`connect` makes a connection of the heartbeat's own (a `Store` will do); it is called in the heartbeat's thread, at
the first beat and again after an error.
The thread is a native one, so that a task that computes does not stop it under solo, threads, gevent and eventlet.
A forked child has no heartbeat, and drops what it inherited of the connection: a worker that was killed must not
look connected because a child of its still holds the socket.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

from celery.worker import state

from chordwatch.foreign import as_dict, as_list
from chordwatch.recording.marks import MARK
from chordwatch.recording.native import Flag, start_thread
from chordwatch.recording.records import MAX_IDS, Heartbeat
from chordwatch.recording.unobserved import unobserved
from chordwatch.text import plain

logger = logging.getLogger("chordwatch")

#: Seconds that a worker's shutdown waits for the goodbye.
GOODBYE_SECONDS = 1.0
#: Seconds between two attempts while the store does not answer: soon after its return no worker may look dead.
_LONGEST_PAUSE = 5.0
#: Queues that are given up within so many seconds share one time. One that was left before is of no restart any more,
#: and a worker that reads ever new queues is not to remember them all.
_LEFT_TOGETHER = 30.0


class Line(Protocol):
    """What heartbeats are sent through. Both methods may raise anything; a forked child calls `close` on its copy."""

    def beat(self, heartbeat: Heartbeat, *, goodbye: bool = False) -> None:
        """Send one."""

    def close(self) -> None:
        """Give the connection back."""


class Heartbeats:
    """Sends a heartbeat every `interval` seconds from `start` to `stop`. Nothing is raised; `errors` counts failures.

    May be started again after it was stopped.
    """

    def __init__(self, connect: Callable[[], Line], *, boot: Callable[[], str], interval: float) -> None:
        self._connect, self._boot, self._interval = connect, boot, interval
        self._pulse: _Pulse | None = None
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Close what a forked child inherited: its copy of the thread's stack, and what hangs on it, is never freed."""
        if self._pulse is not None:
            self._pulse.hang_up()
            self._pulse = None

    @property
    def errors(self) -> int:
        """How many heartbeats could not be sent since the start."""
        return self._pulse.errors if self._pulse else 0

    def start(self, consumer: Any) -> None:
        """Start to beat for the worker with this consumer; without effect where it beats already."""
        if self._pulse is None or self._pulse.stopping:
            self._pulse = _Pulse(self._connect, _Observer(consumer, self._boot), self._interval)
            start_thread(self._pulse.run)

    def stop(self, seconds: float = GOODBYE_SECONDS) -> bool:
        """Say goodbye, and wait for that at most `seconds`. Return whether it was in time."""
        return self._pulse is None or self._pulse.stop(seconds)


class _Pulse:
    """One thread's work, from a start to its stop."""

    def __init__(
        self, connect: Callable[[], Line], observe: Callable[[], Heartbeat], interval: float
    ) -> None:
        self._connect, self._observe, self._interval = connect, observe, interval
        self._line: Line | None = None
        self._wake, self._done = Flag(), Flag()
        self._failed_in_a_row = 0
        self.errors = 0
        self.stopping = False

    def run(self) -> None:
        while not self.stopping:
            self._try_beat()
            self._wake.wait(self._pause())
        self._try_beat(goodbye=True)
        self.hang_up()
        self._done.raise_()

    def stop(self, seconds: float) -> bool:
        if self.stopping:
            return True
        self.stopping = True
        self._wake.raise_()
        return self._done.wait(seconds)

    def _pause(self) -> float:
        longest = max(self._interval, _LONGEST_PAUSE)
        return min(math.ldexp(self._interval, min(self._failed_in_a_row, 10)), longest)

    @unobserved
    def _try_beat(self, *, goodbye: bool = False) -> None:
        try:
            if self._line is None:
                self._line = self._connect()
            self._line.beat(self._observe(), goodbye=goodbye)
            self._failed_in_a_row = 0
        except Exception as exc:  # noqa: BLE001  # a guest's thread must not die; and a store may raise anything
            self.errors += 1
            self._failed_in_a_row += 1
            if self._failed_in_a_row == 1:
                logger.error("chordwatch cannot send heartbeats: %s", plain(f"{exc}", 300))  # noqa: TRY400  # one line
            self.hang_up()

    def hang_up(self) -> None:
        line, self._line = self._line, None
        try:
            if line is not None:
                line.close()
        except Exception:  # it was broken, or the process ends
            logger.debug("chordwatch: closing the heartbeat's connection failed.", exc_info=True)


class _Observer:
    """Observes a worker, and remembers the queues that it has left.

    One that shuts down reads none from then on: what lies in them waits for its successor, not for ever.
    """

    def __init__(self, consumer: Any, boot: Callable[[], str]) -> None:
        self._consumer, self._boot = consumer, boot
        self._read: frozenset[str] = frozenset()
        self._left: frozenset[str] = frozenset()
        self._left_at: float | None = None

    def __call__(self) -> Heartbeat:
        now = observed(self._consumer, self._boot())
        moment, reads = now.at or 0.0, frozenset(now.queues)
        if left := self._read - reads:
            if moment - (self._left_at or 0.0) > _LEFT_TOGETHER:
                self._left = frozenset()
            self._left, self._left_at = frozenset(sorted(self._left | left)[:MAX_IDS]), moment
        self._left, self._read = self._left - reads, reads
        return replace(now, left=tuple(sorted(self._left)), left_at=self._left_at if self._left else None)


def observed(consumer: Any, boot: str) -> Heartbeat:
    """Return what this worker's main process does now: read from Celery's own state, without waiting for it."""
    active = _alive(state.active_requests)
    running = set(map(id, active))
    waiting = (request for request in _alive(state.reserved_requests) if id(request) not in running)
    return Heartbeat(
        node=str(consumer.hostname),
        boot=boot,
        pid=os.getpid(),
        queues=_queues(consumer),
        concurrency=_concurrency(consumer),
        pool=_pool(consumer.pool),
        active=_chord_ids(active),
        reserved=_chord_ids(waiting),
        at=time.time(),
    )


def _queues(consumer: Any) -> tuple[str, ...]:
    """Return the queues that are consumed now: none while the broker is away, or once the worker stops taking tasks."""
    task_consumer = consumer.task_consumer
    return () if task_consumer is None else tuple(sorted(str(queue.name) for queue in task_consumer.queues))


def _concurrency(consumer: Any) -> int:
    try:
        return int(consumer.pool.num_processes)  # follows the autoscaler
    except (AttributeError, TypeError):
        return int(consumer.controller.concurrency or 0)  # the pool has ended


def _pool(pool: object) -> str:
    """Return the pool's name as `celery worker --pool` takes it."""
    name = type(pool).__module__.rpartition(".")[2]
    return "threads" if name == "thread" else name


def _alive(requests: Any) -> list[Any]:
    """Return the members of one of Celery's WeakSets.

    The main thread changes it meanwhile; copying the references inside is one step that nothing can interrupt.
    """
    references = list(requests.data)
    return [request for request in (reference() for reference in references) if request is not None]


def _chord_ids(requests: Iterable[Any]) -> tuple[str, ...]:
    return tuple(islice((str(request.id) for request in requests if _is_of_chord(request)), MAX_IDS))


def _is_of_chord(request: Any) -> bool:
    """Whether a chord waits for this task: as a part of its header, as a step before one, or as its callback."""
    headers = request.request_dict
    if headers.get(MARK) is not None:
        return True
    embed = as_dict(request._payload[2])  # noqa: SLF001  # decoded already; there is no public way
    if headers.get("group") is not None and embed.get("chord") is not None:
        return True
    return any(as_dict(as_dict(step).get("options")).get("chord") for step in as_list(embed.get("chain")))
