"""What lies in the store comes back as it was, is bounded, and harms nobody when it is foreign."""

from __future__ import annotations

import random
import time
import uuid
import zlib
from dataclasses import replace

import msgpack
import pytest

from chordwatch.board.posted import MAX_PACKED, pack_board, read_board
from chordwatch.board.rows import Board, ChordRow, QueueRow, WorkerRow
from tests.support.pace import within

ROW = ChordRow(
    chord_id="c1",
    callback="tasks.report",
    state="open",
    health="hung",
    size=8,
    counted=3,
    opened_at=1.5,
    cause="worker_lost",
    certain=False,
    why="lone \udc80 surrogate, nul \x00",
    queues=("low", "high"),
)
BOARD = Board(
    taken_at=1_790_000_000.25,
    looker="monitor",
    interval=5.0,
    counts={"hung": 1, "ok": 2},
    chords=(ROW, replace(ROW, chord_id="c2", callback=None, size=None, opened_at=None)),
    beyond=4,
    queues=(QueueRow(name="low", length=3, unacked=1, consumers=None, oldest_at=1.0, stuck=1),),
    workers=(WorkerRow(hostname="w1@zoo", up=False, last_beat_at=2.0, chord_tasks=3, queues=("low",)),),
    finished={"succeeded": 10},
    instrumented=True,
    notes=("A sentence.",),
    partial=True,
)


def test_a_board_comes_back_as_it_was() -> None:
    assert read_board(pack_board(BOARD)) == BOARD
    bare = Board(taken_at=1.0, looker="dashboard", interval=5.0)
    assert read_board(pack_board(bare)) == bare


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"nonsense",
        zlib.compress(b""),
        zlib.compress(b"\xc1"),
        zlib.compress(msgpack.packb([2, {}])),
        zlib.compress(msgpack.packb([1, {}])),
        zlib.compress(msgpack.packb([1, {"chords": [[1, 2]], "queues": [], "workers": [], "notes": []}])),
        zlib.compress(msgpack.packb("text")),
        zlib.compress(msgpack.packb([1, None])),
        zlib.compress(b"\x91" * 100_000),
        zlib.compress(bytes(1 << 26)),
        pack_board(BOARD)[:-20],
    ],
    ids=range(12),
)
def test_what_is_foreign_is_no_board(packed: bytes) -> None:
    assert read_board(packed) is None


def test_damage_never_raises() -> None:
    whole, chance = zlib.decompress(pack_board(BOARD)), random.Random(1)
    read = []
    for _ in range(1000):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        read.append(read_board(zlib.compress(bytes(damaged))))

    assert {type(board) for board in read} == {Board, type(None)}


def test_of_too_many_chords_the_first_have_rows() -> None:
    chance = random.Random(1)
    rows = tuple(
        replace(ROW, chord_id=str(index), why="".join(chance.choices("abcdefghijklmnop", k=300)))
        for index in range(6000)
    )

    packed = pack_board(replace(BOARD, chords=rows))

    kept = read_board(packed)
    assert kept is not None
    assert len(packed) <= MAX_PACKED
    assert 3000 < len(kept.chords) < 6000
    assert kept.chords == rows[: len(kept.chords)]
    assert kept.counts == BOARD.counts


def test_a_full_board_of_usual_chords_is_small_and_read_in_a_moment() -> None:
    rows = tuple(
        replace(ROW, chord_id=str(uuid.uuid4()), opened_at=random.random(), why="5 tasks wait. " * 10)
        for _ in range(5500)
    )

    packed = pack_board(replace(BOARD, chords=rows))
    started = time.process_time()
    kept = read_board(packed)
    seconds = time.process_time() - started

    assert within(seconds, 0.5)
    assert kept is not None
    assert len(kept.chords) == 5500
    assert len(packed) < MAX_PACKED / 2
