from __future__ import annotations

from dataclasses import replace

from chordwatch.watch.lives import any_silent, lives_of
from tests.unit.recorded import beat
from tests.unit.seen import NOW

STALE = 10.0
OLD = beat(first=NOW - 900, last=NOW - 700)
NEW = beat(first=NOW - 600, last=NOW - 1)


def test_lives_stand_by_node_the_oldest_first() -> None:
    other = beat("w2@zoo", first=NOW - 5)
    lives = lives_of([NEW, other, OLD], None, NOW, STALE)

    assert list(lives) == ["w1@zoo", "w2@zoo"]
    assert [life.boot for life in lives["w1@zoo"]] == [OLD.heartbeat.boot, NEW.heartbeat.boot]
    assert [(life.since, life.last_beat_at) for life in lives["w1@zoo"]] == [
        (NOW - 900, NOW - 700),
        (NOW - 600, NOW - 1),
    ]
    assert [life.alive for life in lives["w1@zoo"]] == [False, True]


def test_a_life_has_what_its_last_heartbeat_told() -> None:
    (life,) = lives_of([NEW], None, NOW, STALE)["w1@zoo"]

    assert (life.queues, life.concurrency, life.pool) == (("celery",), 1, "solo")
    assert (life.active, life.reserved) == ((), ())


def test_a_heartbeat_is_stale_only_beyond_the_limit() -> None:
    at, beyond = beat("a", last=NOW - STALE), beat("b", last=NOW - STALE - 0.1)
    lives = lives_of([at, beyond], None, NOW, STALE)

    assert (lives["a"][0].stale, lives["b"][0].stale) == (False, True)


def test_a_connection_is_that_of_one_life_and_unknown_where_nobody_could_ask() -> None:
    there = frozenset({("w1@zoo", NEW.heartbeat.boot), ("w2@zoo", OLD.heartbeat.boot)})
    lives = lives_of([OLD, NEW], there, NOW, STALE)["w1@zoo"]
    assert [life.connected for life in lives] == [False, True]

    assert [life.connected for life in lives_of([OLD], None, NOW, STALE)["w1@zoo"]] == [None]


def test_a_life_knows_how_wrong_its_clock_is() -> None:
    behind, untold = beat("a", last=NOW - 3, ahead=-60), beat("b")
    untold = replace(untold, heartbeat=replace(untold.heartbeat, at=None))
    lives = lives_of([behind, untold], None, NOW, STALE)

    assert (lives["a"][0].clock_ahead, lives["b"][0].clock_ahead) == (-60, 0)


def test_a_goodbye_is_not_a_silence() -> None:
    gone = beat(last=NOW - 700, gone=True)

    assert not any_silent([gone, NEW], NOW, STALE)
    assert any_silent([gone, NEW, OLD], NOW, STALE)
    assert not lives_of([gone], None, NOW, STALE)["w1@zoo"][0].alive
