"""What monitors post for dashboards, in both stores: several of them, and one that is started again."""

from __future__ import annotations

import time

import pytest

from chordwatch.board.history import RESOLUTIONS, flows, post_sample, read_history
from chordwatch.board.posted import BOARD, read_board
from chordwatch.board.rows import Board
from chordwatch.board.samples import Sample, sample_of
from chordwatch.service.poster import Poster
from chordwatch.settings import read_settings
from chordwatch.store.protocol import Store
from chordwatch.watch.look import Look
from chordwatch.watch.recorded import Totals
from tests.contract.batches import CALLBACK, run_chord
from tests.support.polling import wait_until

SETTINGS = read_settings({}, monitor_interval=1.0)


def poster(store: Store) -> Poster:
    return Poster(lambda: store, SETTINGS)


def totals_of(store: Store) -> Totals:
    return Totals(up=True, counters=store.counters(), workers=store.workers(), now=store.now())


def test_two_monitors_and_one_that_is_started_again_leave_one_board_and_one_sample_a_minute(
    store: Store,
) -> None:
    begun = int(store.now() // 60)
    for number in range(6):
        poster(store).post(Look(taken_at=float(number)), totals_of(store))

    board = read_board(store.posted([BOARD])[BOARD])
    assert board is not None
    assert board.taken_at == 5.0
    # A minute may have begun meanwhile.
    assert len(read_history(store, 3600, store.now())) in range(1, 2 + int(store.now() // 60) - begun)


def test_samples_of_every_resolution_end(store: Store) -> None:
    now = store.now()
    post_sample(store, Sample(at=now))

    names = [f"history:{each.seconds}:{int(now // each.seconds)}" for each in RESOLUTIONS]
    assert set(store.posted(names)) == set(names)


def test_what_happened_between_two_samples_is_told_from_what_the_store_counts(store: Store) -> None:
    now, board = store.now(), Board(taken_at=0.0, looker="monitor", interval=1.0)
    post_sample(store, sample_of(board, store.counters(), at=now - 120))
    run_chord(store, size=3, at=float(int(time.time()) - 100))
    wait_until(lambda: store.counters().finished, "the chord settles")
    post_sample(store, sample_of(board, store.counters(), at=now - 60))

    (flow,) = flows(read_history(store, 3600, now))

    told = flow.callbacks[CALLBACK]
    assert (flow.seconds, told.started, told.succeeded, told.failed) == (pytest.approx(60), 1, 1, 0)
    assert told.mean_duration == pytest.approx(4.0)
    assert told.mean_barrier == pytest.approx(2.002)
    assert told.p95_duration is not None
    assert told.straggler_share is not None
