from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chordwatch.errors import SettingError, UnreachableError
from chordwatch.evidence.budget import Gaps
from chordwatch.model import Callback
from chordwatch.store.protocol import Counters
from chordwatch.watch import recorded as module
from chordwatch.watch.recorded import Recorded, RecordReader, Totals
from tests.unit.recorded import AWAY, FakeStore, beat, recorded
from tests.unit.seen import NOW

SAID = f"Nothing that was recorded is shown: the store{AWAY.removeprefix('The store')}"


def named(chord_id: str, **fields: Any) -> Any:
    return recorded(chord_id=chord_id, **fields)


def done(chord_id: str, **fields: Any) -> Any:
    return named(chord_id, state="succeeded", finished_at=NOW, **fields)


def read(store: FakeStore, met: tuple[str, ...] = (), finished: int = 10) -> tuple[Recorded, tuple[str, ...]]:
    gaps = Gaps()
    return RecordReader(lambda: store).chords(met, finished, gaps), gaps.lines()


def test_a_look_reads_open_and_finished_chords_and_the_workers() -> None:
    store = FakeStore(named("a"), done("b"), workers=(beat(),))

    found, said = read(store)

    assert set(found.chords) == {"a", "b"}
    assert (found.workers, found.now, said) == ((beat(),), NOW, ())


def test_finished_chords_are_read_when_wanted_and_when_they_are_met() -> None:
    store = FakeStore(named("a"), done("b"), done("c"))

    assert set(read(store, finished=0)[0].chords) == {"a"}
    assert set(read(store, finished=1)[0].chords) == {"a", "b"}
    assert set(read(store, ("c", "foreign"), finished=0)[0].chords) == {"a", "c"}


def test_what_is_too_much_to_be_read_is_counted_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OPEN", 2)
    monkeypatch.setattr(module, "MAX_FINISHED", 1)
    other = Callback(name="zoo.other")
    store = FakeStore(
        *(named(id_) for id_ in "ab"),
        *(named(id_, callback=other) for id_ in "cd"),
        done("e"),
        done("f"),
        counts={"zoo.collect": (2, NOW - 90), "zoo.other": (2, NOW - 80)},
    )

    found, said = read(store, finished=1)

    assert set(found.chords) == {"a", "b", "e"}
    assert found.beyond == {"zoo.other": (2, NOW - 80)}
    assert said == (
        "2 more chords are open; those without progress for longest were read.",
        "Of the finished chords the newest 1 were read.",
    )


def test_planned_chords_are_not_among_the_open_ones_that_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OPEN", 2)
    store = FakeStore(named("a"), named("b", state="planned"), counts={"zoo.collect": (2, NOW - 90)})

    assert read(store)[0].beyond == {"zoo.collect": (1, NOW - 90)}


@pytest.mark.parametrize(
    "ask",
    [
        lambda reader, gaps: reader.chord("group", gaps),
        lambda reader, gaps: reader.chords((), 10, gaps).chords or None,
        lambda reader, gaps: reader.workers(gaps).workers or None,
    ],
)
def test_a_store_that_does_not_answer_is_a_gap(ask: Callable[[RecordReader, Gaps], object]) -> None:
    store, gaps = FakeStore(recorded()), Gaps()
    store.away = True

    assert ask(RecordReader(lambda: store), gaps) is None
    assert gaps.lines() == (SAID,)
    assert store.closed


@pytest.mark.parametrize("error", [SettingError("Neither is Redis."), UnreachableError("It is away.")])
def test_a_store_that_cannot_be_opened_is_a_gap(error: Exception) -> None:
    def refuse() -> FakeStore:
        raise error

    gaps = Gaps()

    assert RecordReader(refuse).chord("group", gaps) is None
    assert gaps.lines() == (f"Nothing that was recorded is shown: {str(error)[0].lower()}{str(error)[1:]}",)


def test_a_store_that_did_not_answer_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    store = FakeStore(recorded())
    store.away = True
    reader = RecordReader(lambda: store)
    reader.chord("group", Gaps())
    store.away, gaps = False, Gaps()

    assert reader.chord("group", gaps) is None
    assert gaps.lines() == (SAID,)
    assert store.asked == 1

    clock[0] += 11
    gaps = Gaps()
    assert reader.chord("group", gaps) is not None
    assert gaps.lines() == ()


def test_a_store_is_lost_that_had_answered_until_it_answers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(module.time, "time", lambda: clock[0])
    store = FakeStore(recorded())
    reader = RecordReader(lambda: store)
    seen = []
    for away in (True, False, True, True, False):
        store.away = away
        reader.chord("group", Gaps())
        seen.append(reader.lost_at)
        clock[0] += 11

    assert seen == [None, None, 122.0, 122.0, None]


def test_totals_tell_whether_the_store_is_up() -> None:
    store = FakeStore(counters=Counters(started={"zoo.collect": 3}), workers=(beat(),))
    up = RecordReader(lambda: store).totals()
    store.away = True

    assert up
    assert (up.up, up.counters.started, up.bytes_used, up.now) == (True, {"zoo.collect": 3}, 1234, NOW)
    assert RecordReader(lambda: store).totals() == Totals()
    assert not Totals().up


def test_where_there_is_no_store_it_is_not_down() -> None:
    """As with RabbitMQ and a database, of which nobody shall be told every day that the store is away."""

    def refuse() -> FakeStore:
        raise SettingError("Neither is Redis.")

    reader = RecordReader(refuse)

    assert [reader.totals(), reader.totals()] == [None, None]


def test_one_connection_serves_until_it_is_closed() -> None:
    opened: list[FakeStore] = []

    def open_store() -> FakeStore:
        opened.append(FakeStore(recorded()))
        return opened[-1]

    reader = RecordReader(open_store)
    reader.chord("group", Gaps())
    reader.totals()
    assert len(opened) == 1

    reader.close()
    assert opened[0].closed
    reader.totals()
    assert len(opened) == 2


def test_without_workers_the_time_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    store = FakeStore(recorded())
    monkeypatch.setattr(store, "now", lambda: pytest.fail("a user who may only read may not ask"))

    assert set(read(store)[0].chords) == {"group"}
