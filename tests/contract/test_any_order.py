"""Whatever the order in which processes flush, both stores come to the same chord and the same counters."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from chordwatch.recording.records import End, Kind, Role, Trace, pack_id, pack_trace
from chordwatch.store.memory import MemoryStore
from chordwatch.store.protocol import Counters, RecordedChord, Store
from tests.contract.batches import CALLBACK, QUEUE, Process, ended, pack, published, received, record, started
from tests.contract.conftest import OpenStore
from tests.support.polling import wait_until

NOW = time.time() - 60
ORDERS = 6
#: Seconds after which a finished chord is counted, whatever comes later.
SETTLES_AFTER = 1.0
TIMES = 5
Stream = tuple[str, list[tuple[dict[str, Any], list[Any]]]]


class Story:
    """A random chord, as the streams of entries that each of its processes sends in order."""

    def __init__(self, seed: int) -> None:
        self.random, self.odd = random.Random(seed), seed % 4 == 0
        self.chord_id, self.callback_id = self._new_id(), self._new_id()
        self.streams: dict[str, list[tuple[dict[str, Any], list[Any]]]] = {}
        size = self.random.randint(1, 8)
        facts: dict[str, Any] = {"c": [pack_id(self.callback_id), CALLBACK, QUEUE, 1]}
        # Not exported, so that no exemplar has a time of its own.
        trace = Trace(seed + 1, parent_id=seed % 2, flags=0)
        if self.random.random() < 0.9:
            facts |= {"n": size, "a": NOW, "r": str(uuid.UUID(int=seed))}
        self._tell("producer", {**facts, "t": pack_trace(trace)})
        for node in ("one", "two"):
            self._tell(f"{node}-main", {"c": facts["c"], "t": pack_trace(trace._replace(parent_id=0))})
        for index in range(size):
            self._part(index)
        if self.random.random() < 0.7:
            self._callback()

    def _new_id(self) -> str:
        if self.odd and self.random.random() < 0.3:
            return f"odd-{self.random.random()}"
        return str(uuid.UUID(int=self.random.getrandbits(128)))

    def _tell(self, process: str, facts: dict[str, Any], *records: list[Any]) -> None:
        self.streams.setdefault(process, []).append((facts, list(records)))

    def _part(self, index: int) -> None:
        task, at, fields = self._new_id(), NOW + self.random.random(), {"index": index}
        if self.random.random() < 0.2:
            self._tell("carrier", {}, record(Kind.EXPECTED, task, at, **fields))
        if self.random.random() < 0.15:
            fields["dynamic"] = True
        self._tell("producer", {}, published(task, at, **fields))
        retries = self.random.choice([0, 0, 0, 1, 3])
        for attempt in range(retries + 1):
            at = self._run(task, at + 1, attempt < retries, fields | {"retries": attempt})

    def _run(self, task: str, at: float, again: bool, fields: dict[str, Any]) -> float:
        node = self.random.choice(["one", "two"])
        if self.random.random() < 0.15:  # a worker that dies with the task
            lost = "two" if node == "one" else "one"
            self._tell(f"{lost}-main", {}, received(task, at, **fields))
            self._tell(f"{lost}-child", {}, started(task, at + 0.1, **fields))
            at += 5
        self._tell(f"{node}-main", {}, received(task, at, **fields))
        began, finish = at + self.random.random(), at + 1 + self.random.random()
        if self.random.random() < 0.4:
            self._tell(f"{node}-child", {}, started(task, began, **fields))
        if again:
            end = ended(task, finish, End.RETRYING, started=began, error="OSError: again", **fields)
            self._tell(
                f"{node}-child",
                {},
                end,
                published(task, finish, **fields | {"retries": fields["retries"] + 1}),
            )
        elif self.random.random() < 0.2:
            failed = {"counted": True, "error": "WorkerLostError: 9", **fields}
            self._tell(f"{node}-main", {}, ended(task, finish, End.FAILED, **failed))
            if self.random.random() < 0.5:
                self._tell(f"{node}-main", {}, ended(task, finish + 0.2, End.FAILED, **failed))
        elif self.random.random() < 0.9:
            self._tell(f"{node}-child", {}, ended(task, finish, started=began, counted=True, **fields))
        return finish

    def _callback(self) -> None:
        fields: dict[str, Any] = {"role": Role.CALLBACK, "name": CALLBACK}
        self._tell("one-child", {}, published(self.callback_id, NOW + 30, **fields))
        self._tell("two-main", {}, received(self.callback_id, NOW + 31, **fields))
        end = End.SUCCEEDED if self.random.random() < 0.8 else End.FAILED
        self._tell(
            "two-child", {}, ended(self.callback_id, NOW + 33, end, started=NOW + 32, last=True, **fields)
        )
        if self.random.random() < 0.4:  # it is delivered again
            self._tell("one-main", {}, received(self.callback_id, NOW + 33.5, **fields))
            self._tell("one-child", {}, started(self.callback_id, NOW + 34, **fields))

    def send(self, store: Store, order: random.Random) -> None:
        """Send all streams, each in its order, cut into batches and mixed at random; some batches twice."""
        left = {name: list(stream) for name, stream in self.streams.items()}
        processes = {name: Process(store, f"{name.partition('-')[0]}@host") for name in left}
        while left:
            name = order.choice(sorted(left))
            many = order.randint(1, 4)
            entries, left[name] = left[name][:many], left[name][many:]
            batch = processes[name].send_all([(self.chord_id, facts, records) for facts, records in entries])
            if order.random() < 0.2:
                store.apply(batch)
            if not left[name]:
                del left[name]

    def told_at_once(self, open_store: OpenStore, order: int) -> Store:
        """Send all to a new store, in an order; to another one if it took longer than a finished chord is waited for.

        A busy machine holds a test up for that long now and then, and what comes later is in no histogram.
        """
        for attempt in range(TIMES):
            store = open_store(namespace=f"order-{order}-{attempt}")
            begun = time.monotonic()
            self.send(store, random.Random(order))
            if time.monotonic() - begun < SETTLES_AFTER:
                return store
        raise AssertionError(f"not told within {SETTLES_AFTER} s, {TIMES} times")


def settled(store: Store, recorded: RecordedChord) -> Counters:
    """Return the counters, once a finished chord is among them."""
    if recorded.chord.state in ("open", "planned"):
        return store.counters()
    return wait_until(lambda: store.counters() if store.counters().finished else None, "the chord settles")


def differing(expected: Any, found: Any) -> Iterator[str]:
    """Yield what differs, for the message of a failure."""
    for name in expected.__dataclass_fields__:
        one, other = getattr(expected, name), getattr(found, name)
        if one != other:
            yield f"{name}: {one!r} != {other!r}"


@pytest.mark.parametrize("seed", range(16))
def test_any_order_comes_to_the_same(seed: int, open_redis_store: OpenStore) -> None:
    story = Story(seed)
    reference = story.told_at_once(MemoryStore, 0)
    stores = [story.told_at_once(MemoryStore, order) for order in range(ORDERS)]
    stores += [story.told_at_once(open_redis_store, ORDERS + order) for order in range(ORDERS)]
    expected = reference.get(story.chord_id)
    for store in stores:
        found = store.get(story.chord_id)
        unlike = [*differing(expected.chord, found.chord), *differing(expected, found)]
        assert {**found_as_dict(found)} == {**found_as_dict(expected)}, unlike
    counters = settled(reference, expected)
    for store in stores:
        found_counters = settled(store, expected)
        if story.odd:  # ids that are no UUIDs are left out of the straggler's median, where there is a Redis
            counters.histograms["straggler"] = found_counters.histograms["straggler"]
        assert found_counters == counters, [*differing(counters, found_counters)]


def found_as_dict(recorded: RecordedChord) -> dict[str, Any]:
    """Return what must be the same; the namespace differs from store to store."""
    fields = {name: getattr(recorded, name) for name in recorded.__dataclass_fields__ if name != "chord"}
    fields["dynamic"] = sorted(recorded.dynamic)
    chord = recorded.chord
    return fields | {n: getattr(chord, n) for n in chord.__dataclass_fields__ if n != "namespace"}


def test_a_batch_for_many_chords_is_as_many_batches_for_one(open_redis_store: OpenStore) -> None:
    stories = [Story(seed) for seed in range(100, 110)]
    together, apart = open_redis_store(namespace="together"), open_redis_store(namespace="apart")
    entries = [(s.chord_id, f, r) for s in stories for stream in s.streams.values() for f, r in stream]
    together.apply(pack("boot", 1, "node", entries))
    process = Process(apart, "node")
    for entry in entries:
        process.send_all([entry])
    for story in stories:
        assert found_as_dict(together.get(story.chord_id)) == found_as_dict(apart.get(story.chord_id))
