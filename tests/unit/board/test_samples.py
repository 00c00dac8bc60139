"""A sample tells what was open, queued and counted, bounded, and comes back from the store as it was."""

from __future__ import annotations

import random
import zlib

import msgpack
import pytest

from chordwatch.board.rows import Board, QueueRow
from chordwatch.board.samples import (
    MAX_CALLBACKS,
    MAX_QUEUES,
    Sample,
    Tally,
    pack_sample,
    read_sample,
    sample_of,
)
from chordwatch.store.protocol import Counters, Histogram

BOUNDS = (1.0, 10.0)


def histogram(*counts: int, total: float) -> Histogram:
    return Histogram(bounds=BOUNDS, counts=counts, sum=total)


COUNTERS = Counters(
    started={"tasks.report": 7, "tasks.sum": 2},
    finished={
        ("tasks.report", "succeeded"): 4,
        ("tasks.report", "failed"): 1,
        ("tasks.report", "aborted"): 1,
    },
    retries={("tasks.report", "tasks.part", "header"): 3, ("tasks.report", "tasks.report", "callback"): 2},
    histograms={
        "duration": {"tasks.report": histogram(1, 2, 1, total=70.5)},
        "barrier": {"tasks.report": histogram(1, 3, 0, total=20.0)},
        "straggler": {"tasks.report": histogram(4, 0, 0, total=5.0)},
        "callback_wait": {"tasks.report": histogram(4, 0, 0, total=0.5)},
    },
    bounds=BOUNDS,
)
BOARD = Board(
    taken_at=1.0,
    looker="monitor",
    interval=5.0,
    counts={"hung": 2, "ok": 5},
    queues=(QueueRow(name="low", length=3, unacked=1, consumers=None),),
)


def test_a_sample_has_the_numbers_of_each_callback() -> None:
    sample = sample_of(BOARD, COUNTERS, at=99.5)

    assert (sample.at, sample.counts, sample.queues) == (99.5, {"hung": 2, "ok": 5}, {"low": 3})
    assert sample.callbacks == {
        "tasks.report": Tally(
            started=7,
            succeeded=4,
            failed=1,
            retries=5,
            duration=(4, 70.5),
            barrier=(4, 20.0),
            straggler=(4, 5.0),
            callback_wait=(4, 0.5),
            buckets=(1, 2, 1),
        ),
        "tasks.sum": Tally(started=2, buckets=(0, 0, 0)),
    }


def test_a_sample_comes_back_as_it_was() -> None:
    sample = sample_of(BOARD, COUNTERS, at=99.5)

    assert read_sample(pack_sample(sample)) == sample
    assert read_sample(pack_sample(Sample(at=1.0))) == Sample(at=1.0)


def test_of_many_callbacks_the_busiest_are_named_and_the_rest_is_other() -> None:
    started = {f"tasks.t{index}": index for index in range(200)} | {"other": 10_000}

    callbacks = sample_of(BOARD, Counters(started=started, bounds=BOUNDS), at=1.0).callbacks

    assert len(callbacks) == MAX_CALLBACKS + 1
    assert min(tally.started for tally in callbacks.values()) == 150
    assert callbacks["other"] == Tally(started=10_000 + sum(range(150)), buckets=(0, 0, 0))


def test_of_many_queues_the_longest_are_kept_and_a_sample_is_small() -> None:
    queues = tuple(QueueRow(name=f"q{n}", length=n, unacked=0, consumers=0) for n in range(1000))
    started = {f"some.project.tasks.callback_{index}": index for index in range(200)}
    full = sample_of(
        Board(taken_at=1.0, looker="monitor", interval=5.0, queues=queues),
        Counters(started=started, bounds=BOUNDS),
        at=1.0,
    )

    assert min(full.queues.values()) == 1000 - MAX_QUEUES
    assert len(pack_sample(full)) < 5000


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"nonsense",
        zlib.compress(msgpack.packb([2, []])),
        zlib.compress(msgpack.packb([1, [1.0, {}, {}, {"a": [1]}, []]])),
        zlib.compress(msgpack.packb([1, ["soon", {}, {}, {}, []]])),
        zlib.compress(msgpack.packb(7)),
        zlib.compress(bytes(1 << 22)),
    ],
    ids=range(7),
)
def test_what_is_foreign_is_no_sample(packed: bytes) -> None:
    assert read_sample(packed) is None


def test_damage_never_raises() -> None:
    whole = zlib.decompress(pack_sample(sample_of(BOARD, COUNTERS, at=99.5)))
    chance, read = random.Random(1), []
    for _ in range(1000):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        read.append(read_sample(zlib.compress(bytes(damaged))))

    assert {type(sample) for sample in read} == {Sample, type(None)}
