"""The monitor posts the board after each look and one sample a minute, and a store that refuses disturbs nothing."""

from __future__ import annotations

import pytest

from chordwatch.board.history import read_history
from chordwatch.board.posted import read_board
from chordwatch.errors import ChordwatchError, SettingError, UnreachableError
from chordwatch.service.poster import Poster
from chordwatch.settings import read_settings
from chordwatch.store.memory import MemoryStore
from chordwatch.store.protocol import Counters
from chordwatch.watch.look import Look, Sighting
from chordwatch.watch.recorded import Totals
from tests.unit.seen import NOW, open_chord

SETTINGS = read_settings({}, monitor_interval=2.0)
LOOK = Look(taken_at=NOW, sightings=(Sighting(chord=open_chord(health="hung")),))
TOTALS = Totals(up=True, counters=Counters(started={"zoo.collect": 3}))


class Bench:
    """A poster on a store in memory, clocks set by hand, and a problem in the store's way."""

    def __init__(self) -> None:
        self.now = NOW
        self.problem: ChordwatchError | None = None
        self.opened = 0
        self.store = MemoryStore(clock=lambda: self.now)
        self.poster = Poster(self.open, SETTINGS, clock=lambda: self.now)

    def open(self) -> MemoryStore:
        """Open the store as long as there is no problem."""
        self.opened += 1
        if self.problem:
            raise self.problem
        return self.store

    def posted(self) -> bool:
        """Whether there is a board."""
        return bool(self.store.posted(["board"]))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_board_of_each_look_is_posted(bench: Bench) -> None:
    bench.poster.post(LOOK, TOTALS)

    board = read_board(bench.store.posted(["board"])["board"])
    assert board is not None
    assert (board.looker, board.interval, board.taken_at) == ("monitor", 2.0, NOW)
    assert (board.stuck, board.instrumented) == (1, True)


def test_a_board_is_there_as_long_as_it_is_current_by_the_stores_clock(bench: Bench) -> None:
    bench.poster.post(LOOK, TOTALS)
    bench.now += 6 * 2.0 + 9
    assert bench.posted()
    bench.now += 2
    assert not bench.posted()


def test_the_board_of_a_monitor_whose_looks_take_long_is_there_for_longer(bench: Bench) -> None:
    bench.poster.post(LOOK, TOTALS)
    bench.now += 20
    bench.poster.post(LOOK, TOTALS)
    bench.now += 6 * 20 + 9
    assert bench.posted()
    bench.now += 2
    assert not bench.posted()


def test_a_sample_is_posted_once_a_minute(bench: Bench) -> None:
    for _ in range(150):
        bench.poster.post(LOOK, TOTALS)
        bench.now += 2

    samples = read_history(bench.store, 3600, bench.now)
    assert 5 <= len(samples) <= 6
    assert samples[0].counts["hung"] == 1
    assert samples[0].callbacks["zoo.collect"].started == 3


@pytest.mark.parametrize("totals", [None, Totals(up=False)])
def test_without_counters_there_is_a_board_and_no_sample(bench: Bench, totals: Totals | None) -> None:
    bench.poster.post(LOOK, totals)

    assert bench.posted()
    assert read_history(bench.store, 3600, bench.now) == ()


@pytest.mark.parametrize("problem", [UnreachableError("Away."), SettingError("No store.")])
def test_a_store_that_does_not_answer_is_left_alone_for_a_while_and_told_once(
    bench: Bench, problem: ChordwatchError, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    bench.problem = problem
    for _ in range(20):
        bench.poster.post(LOOK, TOTALS)
        bench.now += 1

    assert bench.opened == 2
    assert caplog.text.count("Dashboards look for themselves") == 1

    bench.problem = None
    bench.poster.post(LOOK, TOTALS)
    assert bench.posted()


def test_the_end_gives_the_connection_back(bench: Bench) -> None:
    bench.poster.post(LOOK, TOTALS)
    bench.poster.close()
    bench.poster.post(LOOK, TOTALS)

    assert bench.opened == 2
