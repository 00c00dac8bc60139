"""An installation of 100,000 chords: most have finished, 2,000 are stuck, and one has a header of 10,000 tasks."""

from __future__ import annotations

import threading
import time

from redis import Redis

from chordwatch.store.redis_store import RedisStore
from tests.acceptance.diagnosis.crowd import Crowd
from tests.acceptance.xray.planted import part
from tests.contract.batches import Process, callback, callback_run, ended, new_id, published
from tests.integration.xray.stranger import GROUP
from tests.support.servers import RedisServer

CHORDS, OPEN, STUCK = 100_000, 4_000, 2_000
HEADER, COUNTED = 10_000, 9_900
_AT_ONCE = 50
_LIFE = 86_400
#: A heartbeat that is much older is a dead worker's. Seconds.
_BEAT_EVERY = 2.0


class Installation:
    """What is planted, with workers that beat until it is closed. `large_id`: the chord with the large header."""

    def __init__(self, server: RedisServer) -> None:
        self._crowd = Crowd(server)
        self._stopping = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._plant_finished(CHORDS - OPEN - 1)
        self._crowd.plant(OPEN, every=OPEN // STUCK)
        self.large_id = _plant_large(self._crowd.store, server.backend)
        self._beating.start()

    def close(self) -> None:
        """End the workers."""
        self._stopping.set()
        self._beating.join()
        self._crowd.close()

    def _beat(self) -> None:
        while not self._stopping.wait(_BEAT_EVERY):
            self._crowd.beat()

    def _plant_finished(self, number: int) -> None:
        """Record chords of three tasks, fifty to a batch, that ended within the last hour."""
        worker, now = Process(self._crowd.store), time.time()
        for first in range(0, number, _AT_ONCE):
            chords = [
                _finished(now - 3600 * (1 - place / number))
                for place in range(first, min(first + _AT_ONCE, number))
            ]
            worker.send_all(chords)


def _finished(at: float) -> tuple[str, dict[str, object], list[list[object]]]:
    callback_id, tasks = new_id(), [new_id() for _ in range(3)]
    records = [
        *(published(task_id, at, index=index) for index, task_id in enumerate(tasks)),
        *(ended(task_id, at + 1, index=i, started=at, counted=True) for i, task_id in enumerate(tasks)),
        *callback_run(callback_id, at + 1.5),
    ]
    return new_id(), {"c": callback(callback_id), "n": 3, "a": at}, records


def _plant_large(store: RedisStore, backend: Redis) -> str:
    """Record a chord whose last hundred tasks are nowhere, and write Celery's keys of it."""
    chord_id, tasks, at = new_id(), list(enumerate(new_id() for _ in range(HEADER))), time.time() - 600
    worker = Process(store, "living0@here")
    facts = {"c": callback(new_id()), "n": HEADER, "a": at}
    key, pipe = f"{GROUP}{chord_id}", backend.pipeline(transaction=False)
    for start in range(0, HEADER, 500):
        some = tasks[start : start + 500]
        counted = [(index, task_id) for index, task_id in some if index < COUNTED]
        sent = [published(task_id, at, index=index) for index, task_id in some]
        worker.send(chord_id, sent, **({} if start else facts))
        worker.send(
            chord_id,
            [
                ended(task_id, at + 5 + index / 50, index=index, started=at + 1 + index / 50, counted=True)
                for index, task_id in counted
            ],
        )
        if counted:
            pipe.zadd(f"{key}.j", {part(task_id, index): index for index, task_id in counted})
            pipe.sadd(f"{key}.d", *(f"{task_id}:{index}" for index, task_id in counted))
    pipe.set(f"{key}.s", HEADER, ex=_LIFE)
    for name in (f"{key}.j", f"{key}.d"):
        pipe.expire(name, _LIFE)
    pipe.execute()
    return chord_id
