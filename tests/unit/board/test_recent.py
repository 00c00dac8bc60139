from __future__ import annotations

from chordwatch.board.recent import Depth, Ended, Trend, depths, ended_in, trend_of
from chordwatch.board.rows import Board, QueueRow
from chordwatch.board.samples import Sample, Tally

NOW = 1_790_000_000.0


def board(hung: int = 0, **queues: int) -> Board:
    rows = tuple(
        QueueRow(name=name, length=length, unacked=0, consumers=1) for name, length in queues.items()
    )
    return Board(taken_at=NOW, looker="monitor", interval=5.0, counts={"hung": hung, "ok": 2}, queues=rows)


def test_a_trend_ends_with_what_is_now_and_compares_it_with_the_oldest_sample() -> None:
    samples = (Sample(at=NOW - 3600, counts={"hung": 1}), Sample(at=NOW - 1800, counts={"ok": 9}))

    assert trend_of(samples, board(hung=4), ["hung"]) == Trend(values=(1, 0, 4), change=3, seconds=3600.0)
    assert trend_of(samples, board(hung=4), ["hung", "ok"]).values == (1, 9, 6)


def test_without_samples_nothing_is_compared() -> None:
    assert trend_of((), board(hung=4), ["hung"]) == Trend(values=(4,), change=None, seconds=0.0)


def test_ends_are_summed_over_all_callbacks_between_the_samples() -> None:
    samples = (
        Sample(at=NOW - 60, callbacks={"a": Tally(succeeded=10, failed=1), "b": Tally(succeeded=5)}),
        Sample(at=NOW, callbacks={"a": Tally(succeeded=14, failed=2), "b": Tally(succeeded=6)}),
    )

    assert ended_in(samples) == Ended(succeeded=5, failed=1, seconds=60.0)


def test_one_sample_tells_of_no_ends() -> None:
    assert ended_in(()) is None
    assert ended_in((Sample(at=NOW),)) is None


def test_depths_are_those_of_the_longest_queues_with_zero_where_a_sample_has_none() -> None:
    samples = (Sample(at=NOW - 60, queues={"once_long": 100, "short": 1}),)

    assert depths(samples, board(now_long=50, short=2), most=2) == (
        Depth(at=NOW - 60, queue="now_long", length=0),
        Depth(at=NOW - 60, queue="once_long", length=100),
        Depth(at=NOW, queue="now_long", length=50),
        Depth(at=NOW, queue="once_long", length=0),
    )
