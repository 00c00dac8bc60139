"""What the store costs its Redis: CPU per record and memory per header task, against a real server.

Run it as `python -m benchmarks.store_cost`. CPU is the server's own account (INFO cpu, user and system), so a busy
machine disturbs it little; memory is the growth of `used_memory`, keys, indexes and lookup included.
"""

from __future__ import annotations

import random
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
from redis import Redis

from chordwatch.recording.records import VERSION, End, Kind, Role, pack_id
from chordwatch.store.redis_store import RedisStore
from tests.support.servers import Processes, RedisServer

STRINGS = ["proj.images.tasks.make_thumbnail", "celery", "proj.images.tasks.publish_album"]
WORKERS = [f"celery@images-worker-{n}.eu-west-1.example.internal" for n in range(4)]
BATCH = 50
_TASK, _QUEUE, _CALLBACK = 0, 1, 2

Record = list[Any]


class Sender:
    """One process that sends batches."""

    def __init__(self, store: RedisStore, node: str) -> None:
        self._store, self._node, self._boot, self._sequence = store, node, uuid.uuid4().hex, 0

    def send(self, chords: list[list[Any]]) -> None:
        """Send one batch."""
        self._sequence += 1
        batch = [VERSION, self._boot, self._sequence, self._node, {}, STRINGS, chords]
        self._store.apply(msgpack.packb(batch, use_bin_type=False))


class Chord:
    """A chord and the records of its life."""

    def __init__(self, size: int, now: float) -> None:
        self.packed_id, self.callback_id = _new_id(), _new_id()
        self.tasks = [_new_id() for _ in range(size)]
        self.now, self.size = now, size
        self.facts = {
            "c": [self.callback_id, STRINGS[_CALLBACK], None, 1],
            "r": str(uuid.uuid4()),
            "n": size,
            "a": now,
        }

    def published(self, index: int) -> Record:
        """Return the record of a header task's publishing."""
        return [Kind.PUBLISHED, Role.HEADER, self.tasks[index], index, 0, 0, self._at(index), _TASK, _QUEUE]

    def received(self, index: int) -> Record:
        """Return the record of its receipt."""
        at = self._at(index) + 0.004
        return [Kind.RECEIVED, Role.HEADER, self.tasks[index], index, 0, 0, at, _TASK, _QUEUE]

    def ended(self, index: int) -> Record:
        """Return the record of its end, which names its start."""
        started = self._at(index) + 0.02 + random.random()
        head = [Kind.ENDED, Role.HEADER, self.tasks[index], index, 0, 0, started + 0.3, _TASK, _QUEUE]
        return [*head, End.SUCCEEDED, started, True, False, None]  # as the recorder sends it

    def callback(self) -> list[Record]:
        """Return the records of the callback."""
        at = self._at(self.size) + 2
        head = [Role.CALLBACK, self.callback_id, None, 0, 0]
        return [
            [Kind.PUBLISHED, *head, at, _CALLBACK, _QUEUE],
            [Kind.RECEIVED, *head, at + 0.003, _CALLBACK, _QUEUE],
            [Kind.ENDED, *head, at + 0.2, _CALLBACK, _QUEUE, End.SUCCEEDED, at + 0.005, None, True],
        ]

    def _at(self, index: int) -> float:
        return self.now + index * 0.0004


def _new_id() -> bytes:
    return pack_id(str(uuid.uuid4()))


def cpu_per_record(redis: Redis, send: Callable[[], int]) -> float:
    """Return the microseconds of CPU that Redis spends on each of the records that `send` sends."""
    before = _cpu(redis)
    records = send()
    return (_cpu(redis) - before) / records * 1e6


def _cpu(redis: Redis) -> float:
    info = redis.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def _senders(store: RedisStore) -> list[Sender]:
    return [Sender(store, worker) for worker in WORKERS]


def one_chord(store: RedisStore, *, size: int = 1000, batch: int = BATCH, chords: int = 20) -> int:
    """Send whole lives of chords, each batch of one chord; return the number of records."""
    producer, workers = Sender(store, "producer"), _senders(store)
    records = 0
    for _ in range(chords):
        chord = Chord(size, time.time())
        for start in range(0, size, batch):
            indexes = range(start, min(start + batch, size))
            facts = chord.facts if start == 0 else {}
            producer.send([[chord.packed_id, facts, [chord.published(i) for i in indexes]]])
        for start in range(0, size, batch):
            indexes = range(start, min(start + batch, size))
            worker = workers[(start // batch) % len(workers)]
            worker.send([[chord.packed_id, {}, [chord.received(i) for i in indexes]]])
            worker.send([[chord.packed_id, {}, [chord.ended(i) for i in indexes]]])
        workers[0].send([[chord.packed_id, {}, chord.callback()]])
        records += 3 * size + 3
    return records


def many_chords(store: RedisStore, *, size: int = 20, at_once: int = BATCH, rounds: int = 20) -> int:
    """Send whole lives of chords, each batch with one record of each of `at_once` chords."""
    producer, workers = Sender(store, "producer"), _senders(store)
    records = 0
    for _ in range(rounds):
        chords = [Chord(size, time.time()) for _ in range(at_once)]
        for index in range(size):
            facts = (lambda chord: chord.facts) if index == 0 else (lambda _: {})
            producer.send([[c.packed_id, facts(c), [c.published(index)]] for c in chords])
        for index in range(size):
            worker = workers[index % len(workers)]
            worker.send([[c.packed_id, {}, [c.received(index)]] for c in chords])
            worker.send([[c.packed_id, {}, [c.ended(index)]] for c in chords])
        for record in range(3):
            workers[0].send([[c.packed_id, {}, [c.callback()[record]]] for c in chords])
        records += (3 * size + 3) * at_once
    return records


def memory_per_task(redis: Redis, store: RedisStore, *, size: int, tasks: int = 100_000) -> float:
    """Return the bytes that a finished chord's header task takes, from about `tasks` of them."""
    redis.flushall()
    store.apply(msgpack.packb([VERSION, uuid.uuid4().hex, 1, "producer", {}, [], []], use_bin_type=False))
    before = redis.info("memory")["used_memory"]
    chords = max(1, tasks // size)
    one_chord(store, size=size, batch=500, chords=chords)
    time.sleep(1.1)  # finished chords settle after a second
    for _ in range(chords // 10 + 2):
        store.counters()
    return float(redis.info("memory")["used_memory"] - before) / (chords * size)


def measure(redis: Redis, store: RedisStore) -> Iterator[tuple[str, float, str]]:
    """Yield what was measured, its figure, and its unit."""
    store.counters()  # loads the script
    us = "µs of Redis CPU per record"
    yield "batches of 50 records of one chord", cpu_per_record(redis, lambda: one_chord(store)), us
    yield "batches of 50 records of 50 chords", cpu_per_record(redis, lambda: many_chords(store)), us
    single = cpu_per_record(redis, lambda: one_chord(store, size=100, batch=1, chords=20))
    yield "batches of 1 record", single, us
    for size in (20, 1000, 100_000):
        figure = memory_per_task(redis, store, size=size)
        yield f"chords of {size:,} header tasks", figure, "bytes per header task"


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        processes = Processes(Path(folder))
        try:
            server = RedisServer(processes)
            store = RedisStore(server.url(0), client_name="benchmark", store_max_mb=1024)
            print(f"Redis {server.broker.info('server')['redis_version']}")
            for what, figure, unit in measure(server.broker, store):
                print(f"{what:<40} {figure:8.1f}  {unit}")
            store.close()
            server.close()
        finally:
            processes.stop()


if __name__ == "__main__":
    main()
