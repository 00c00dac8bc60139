"""Thousands of open chords, planted into the store and into Celery's keys: most are healthy, some stuck."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from chordwatch.recording.records import MAX_IDS, Heartbeat, Role
from chordwatch.store.redis_store import RedisStore
from tests.acceptance.xray.planted import message, part
from tests.contract.batches import Process, callback, ended, new_id, published, started
from tests.integration.xray.stranger import GROUP, META
from tests.support.servers import RedisServer

TASKS = 20
#: Counted parts of a chord whose header is under way.
COUNTED = 15
#: So many that none runs more than a heartbeat names.
WORKERS = 60
UNCONSUMED, CONSUMED = "nobody", "celery"
BEAT_SECONDS = 2.5
_STATE_LIFE = 86400
_AGE = 3600.0


@dataclass(frozen=True, slots=True)
class Planted:
    """One chord that is being planted; `at` is when it was sent."""

    chord_id: str
    callback_id: str
    tasks: Sequence[str]
    at: float

    @property
    def rest(self) -> Sequence[tuple[int, str]]:
        """The tasks that are not counted, with their indexes."""
        return list(enumerate(self.tasks))[COUNTED:]


Kind = Callable[["Crowd", Planted], None]


@dataclass
class Crowd:
    """The installation: `stuck` tells by chord id what holds it."""

    redis: RedisServer
    stuck: dict[str, Kind] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = RedisStore(self.redis.url(0), client_name="planting", store_max_mb=1024)
        self.pipe = self.redis.backend.pipeline(transaction=False)
        self.queues = self.redis.broker.pipeline(transaction=False)
        self.living = [Process(self.store, node=f"living{number}@here") for number in range(WORKERS)]
        self.dead = Process(self.store, node="dead@here")
        self.running: dict[str, list[str]] = {worker.node: [] for worker in self.living}

    def plant(self, number: int, *, every: int = 10) -> None:
        """Plant so many chords, every tenth of them stuck or as told; the oldest began an hour ago."""
        self.store.beat(_heartbeat(self.dead))
        self.beat()
        for queue in (CONSUMED, UNCONSUMED):
            self.queues.sadd(f"_kombu.binding.{queue}", f"{queue}\x06\x16\x06\x16{queue}")
        begun = time.time() - _AGE
        for place in range(number):
            chord = Planted(new_id(), new_id(), [new_id() for _ in range(TASKS)], begun + place * 0.1)
            if place % every:
                HEALTHY[place % len(HEALTHY)](self, chord)
            else:
                kind = STUCK[place // every % len(STUCK)]
                self.stuck[chord.chord_id] = kind
                kind(self, chord)
            if place % 200 == 199:
                self.pipe.execute()
        self.pipe.execute()
        self.queues.execute()

    def beat(self) -> None:
        """Let the living workers beat once."""
        for worker in self.living:
            self.store.beat(_heartbeat(worker, tuple(self.running[worker.node])))

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Let the living workers beat all the time, as real ones do: a look may last longer than a beat is good for."""
        ending = Event()

        def beat() -> None:
            while not ending.wait(BEAT_SECONDS):
                self.beat()

        self.beat()
        beats = Thread(target=beat, name="beats")
        beats.start()
        try:
            yield
        finally:
            ending.set()
            beats.join()

    def close(self) -> None:
        """Give the store's connection back."""
        self.store.close()

    # What the kinds are made of.

    def record(
        self, chord: Planted, *records: list[Any], counted: int = COUNTED, by: Process | None = None
    ) -> None:
        """Record the publishing of all tasks, the end of the first `counted`, and what else there is."""
        ends = [
            ended(task_id, chord.at + 2, index=index, started=chord.at + 1, counted=True)
            for index, task_id in enumerate(chord.tasks[:counted])
        ]
        sent = [published(task_id, chord.at, index=index) for index, task_id in enumerate(chord.tasks)]
        worker = by or self.living[hash(chord.chord_id) % len(self.living)]
        facts = {"c": callback(chord.callback_id), "n": TASKS, "a": chord.at}
        worker.send(chord.chord_id, [*sent, *ends, *records], **facts)

    def count(self, chord: Planted, counted: int = COUNTED) -> None:
        """Write Celery's keys of a chord."""
        key = f"{GROUP}{chord.chord_id}"
        counts = list(enumerate(chord.tasks[:counted]))
        self.pipe.set(f"{key}.s", TASKS, ex=_STATE_LIFE)
        self.pipe.zadd(f"{key}.j", {part(task_id, index): index for index, task_id in counts})
        self.pipe.sadd(f"{key}.d", *(f"{task_id}:{index}" for index, task_id in counts))
        self.pipe.expire(f"{key}.j", _STATE_LIFE).expire(f"{key}.d", _STATE_LIFE)

    def enqueue(self, chord: Planted, queue: str) -> None:
        """Let the tasks that are not counted lie in a queue."""
        self.queues.lpush(queue, *(message(task_id, chord.chord_id, index) for index, task_id in chord.rest))


def _heartbeat(worker: Process, active: tuple[str, ...] = ()) -> Heartbeat:
    """Return a heartbeat of a pool whose worker is silent while it is busy, as none here answers `inspect`."""
    return Heartbeat(
        node=worker.node,
        boot=worker.boot,
        pid=1,
        queues=(CONSUMED,),
        concurrency=MAX_IDS,
        pool="gevent",
        active=active,
    )


def _starts(chord: Planted, at: float) -> list[list[Any]]:
    return [started(task_id, at, index=index) for index, task_id in chord.rest]


# Healthy ones.


def runs(crowd: Crowd, chord: Planted) -> None:
    """Its last tasks run at a living worker."""
    worker = crowd.living[_emptiest(crowd)]
    crowd.running[worker.node] += [task_id for _, task_id in chord.rest]
    crowd.record(chord, *_starts(chord, time.time()), by=worker)
    crowd.count(chord)


def _emptiest(crowd: Crowd) -> int:
    return min(range(len(crowd.living)), key=lambda number: len(crowd.running[crowd.living[number].node]))


def waits(crowd: Crowd, chord: Planted) -> None:
    """Its last tasks wait in a queue that is read."""
    crowd.record(chord)
    crowd.count(chord)
    crowd.enqueue(chord, CONSUMED)


# Stuck ones.


def worker_lost(crowd: Crowd, chord: Planted) -> None:
    """A worker took its last tasks with it."""
    crowd.record(chord, *_starts(chord, time.time()), by=crowd.dead)
    crowd.count(chord)


def queue_unconsumed(crowd: Crowd, chord: Planted) -> None:
    """Its last tasks lie where nobody reads."""
    crowd.record(chord)
    crowd.count(chord)
    crowd.enqueue(chord, UNCONSUMED)


def message_lost(crowd: Crowd, chord: Planted) -> None:
    """Its last tasks were published and are nowhere."""
    crowd.record(chord)
    crowd.count(chord)


def result_uncounted(crowd: Crowd, chord: Planted) -> None:
    """Its last tasks ended, their results are stored, and nobody counted them."""
    ends = [
        ended(task_id, chord.at + 3, index=i, started=chord.at + 1, counted=False)
        for i, task_id in chord.rest
    ]
    crowd.record(chord, *ends)
    crowd.count(chord)
    for index, task_id in chord.rest:
        crowd.pipe.set(META + task_id, _result(task_id, chord, index), ex=_STATE_LIFE)


def _result(task_id: str, chord: Planted, index: int) -> str:
    return json.dumps(
        {
            "status": "SUCCESS",
            "result": index,
            "traceback": None,
            "children": [],
            "date_done": "2026-01-01T00:00:00+00:00",
            "group_id": chord.chord_id,
            "task_id": task_id,
        }
    )


def state_lost(crowd: Crowd, chord: Planted) -> None:
    """Its keys are gone while its last tasks run."""
    worker = crowd.living[_emptiest(crowd)]
    crowd.running[worker.node] += [task_id for _, task_id in chord.rest]
    crowd.record(chord, *_starts(chord, time.time()), by=worker)


def callback_lost(crowd: Crowd, chord: Planted) -> None:
    """All are counted, and the callback, which was published, is nowhere."""
    sent = published(chord.callback_id, chord.at + 3, role=Role.CALLBACK, name="proj.tasks.whole")
    crowd.record(chord, sent, counted=TASKS)


HEALTHY: tuple[Kind, ...] = (runs, waits, runs)
STUCK: tuple[Kind, ...] = (
    worker_lost,
    queue_unconsumed,
    message_lost,
    result_uncounted,
    state_lost,
    callback_lost,
)
#: What each is to be called. The keys are gone, as their Redis was started after the chords began.
CAUSES: dict[Kind, str] = {
    worker_lost: "worker_lost",
    queue_unconsumed: "queue_unconsumed",
    message_lost: "message_lost",
    result_uncounted: "result_uncounted",
    state_lost: "chord_state_flushed",
    callback_lost: "message_lost",
}
