"""What monitors found of chords, in both stores: who is told of a change, what is counted, how long it lasts."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from chordwatch.model import Attempt, Callback, Chord, Errback, HeaderTask, MissingPart, Verdict
from chordwatch.store import judgements
from chordwatch.store.judgements import LATE_SECONDS, bounded, pack_judgement
from chordwatch.store.keys import Keys
from chordwatch.store.protocol import Judged, Judgement, Store
from tests.contract.batches import CALLBACK, new_id
from tests.contract.conftest import OpenStore
from tests.contract.test_redis_store import plant
from tests.support.polling import wait_until
from tests.support.servers import RedisServer
from tests.unit.cli.rendered import NAMES, verdict

WEEK = 7 * 86_400.0
NOW = time.time() - 100
LOST = verdict(cause="worker_lost", outcome="hung", summary="w1 is gone.")
FLUSHED = verdict(cause="chord_state_flushed", outcome="hung")
LATE = verdict(cause="eta_scheduled", outcome="late")
#: A part of the header was delivered twice; so was the callback.
PART_TWICE = verdict(cause="duplicate_delivery", outcome="ok", tasks=("h0",))
BODY_TWICE = verdict(cause="duplicate_delivery", outcome="ok", tasks=("body", "h0"))


def chord(*verdicts: Verdict, **fields: Any) -> Chord:
    attempt = Attempt(attempt=0, state="failed", error="OSError: no")
    usual: dict[str, Any] = {
        "chord_id": new_id(),
        "state": "open",
        "health": "hung",
        "size": 2,
        "counted": 1,
        "missing": (MissingPart(index=1, task_id="h1", name="zoo.add"),),
        "callback": Callback(task_id="body", name=CALLBACK),
        "header": (HeaderTask(index=0, counted=True), HeaderTask(index=1, attempts=(attempt,))),
        "errbacks": (Errback(task_id="e", name="zoo.tell"),),
        "verdicts": verdicts,
        "progressed_at": NOW - 60.123456,
    }
    return Chord(**{**usual, **fields})


def judge(store: Store, judged: Chord, *verdicts: Verdict, at: float = NOW, keep: float = WEEK) -> Judged:
    return store.judge(Judgement(chord=replace(judged, verdicts=verdicts), at=at), keep=keep)


def test_a_judgement_is_read_as_it_was_written(store: Store) -> None:
    judgement = Judgement(chord=chord(LOST, LATE), at=NOW)
    assert store.judge(judgement, keep=WEEK) == Judged(new=("worker_lost", "eta_scheduled"))
    assert store.judgements([judgement.chord.chord_id, new_id()]) == {judgement.chord.chord_id: judgement}
    assert list(store.judged(10)) == [judgement]
    assert list(store.judged_ids()) == [judgement.chord.chord_id]


@pytest.mark.parametrize("name", [*NAMES, "\0", "other"], ids=ascii)
def test_names_may_hold_anything(store: Store, name: str) -> None:
    hostile = verdict(summary=name, tasks=(name,), evidence=(name,), question=name)
    judged = chord(chord_id=name, callback=Callback(name=name, error=name))
    assert judge(store, judged, hostile).new == ("queue_unconsumed",)
    assert store.judgements([name])[name].chord == replace(judged, verdicts=(hostile,))
    ((callback, *labels),) = store.counters().verdicts
    assert labels == ["hung", "queue_unconsumed"]
    assert callback == name[:200] or "\ud800" in name


def test_only_what_changed_is_told(store: Store) -> None:
    judged = chord()
    assert judge(store, judged, LOST) == Judged(new=("worker_lost",))
    assert judge(store, judged, LOST, at=NOW + 1) == Judged()
    assert judge(store, judged, FLUSHED, LOST, at=NOW + 2) == Judged(new=("chord_state_flushed",))
    assert judge(store, judged, FLUSHED, at=NOW + 3) == Judged(gone=("worker_lost",))
    assert judge(store, judged, LATE, at=NOW + 4) == Judged(("eta_scheduled",), ("chord_state_flushed",))
    hung = replace(LATE, outcome="hung")
    assert judge(store, judged, hung, at=NOW + 5) == Judged(new=("eta_scheduled",))
    assert judge(store, judged, at=NOW + 6) == Judged(gone=("eta_scheduled",))
    assert judge(store, judged, at=NOW + 7) == Judged()
    assert judge(store, judged, LOST, LATE, FLUSHED, at=NOW + 8).new == (
        "worker_lost",
        "eta_scheduled",
        "chord_state_flushed",
    )
    assert judge(store, judged, at=NOW + 9).gone == ("chord_state_flushed", "eta_scheduled", "worker_lost")


def test_a_recovery_clears_the_verdicts(store: Store) -> None:
    judged, other = chord(), chord()
    judge(store, judged, LOST)
    judge(store, other, LATE, at=NOW + 1)
    judge(store, judged, at=NOW + 2)
    assert list(store.judgements([judged.chord_id])) == []
    assert [each.chord.chord_id for each in store.judged(10)] == [other.chord_id] == list(store.judged_ids())


def test_a_chord_that_was_always_well_leaves_nothing(store: Store) -> None:
    assert judge(store, chord()) == Judged()
    assert (list(store.judged_ids()), store.counters().verdicts) == ([], {})


def test_each_cause_of_a_chord_is_counted_once(store: Store) -> None:
    judged = chord()
    for at, verdicts in enumerate(
        [(LOST,), (LOST, LATE), (), (LOST,), (LATE,), (replace(LATE, outcome="hung"),)]
    ):
        judge(store, judged, *verdicts, at=NOW + at)
    judge(store, chord(callback=Callback()), LOST, LOST)
    assert store.counters().verdicts == {
        (CALLBACK, "hung", "worker_lost"): 1,
        (CALLBACK, "late", "eta_scheduled"): 1,
        ("unknown", "hung", "worker_lost"): 1,
    }


def test_a_callback_that_ran_twice_is_counted_once(store: Store) -> None:
    judged, other = chord(), chord()
    for at, verdicts in enumerate([(BODY_TWICE,), (LOST, BODY_TWICE), (), (BODY_TWICE,), (PART_TWICE,)]):
        judge(store, judged, *verdicts, at=NOW + at)
    judge(store, other, PART_TWICE)
    assert store.counters().repeated == {CALLBACK: 1}
    judge(store, chord(callback=Callback(task_id="body")), BODY_TWICE)
    judge(store, chord(), BODY_TWICE)
    assert store.counters().repeated == {CALLBACK: 2, "unknown": 1}
    assert store.counters().verdicts[CALLBACK, "ok", "duplicate_delivery"] == 3


def test_a_callback_that_ran_twice_is_counted_after_its_header_too(store: Store) -> None:
    judged = chord()
    judge(store, judged, PART_TWICE)
    assert store.counters().repeated == {}
    assert judge(store, judged, BODY_TWICE, at=NOW + 1) == Judged()
    assert judge(store, judged, BODY_TWICE, at=NOW + 2) == Judged()
    assert store.counters().repeated == {CALLBACK: 1}
    assert store.counters().verdicts == {(CALLBACK, "ok", "duplicate_delivery"): 1}


@pytest.mark.parametrize(
    "ran_once",
    [
        verdict(cause="callback_running", outcome="ok", tasks=("body",)),
        verdict(cause="duplicate_delivery", outcome="ok", tasks=()),
        verdict(cause="duplicate_delivery", outcome="ok", tasks=("h0", "h1")),
    ],
)
def test_only_a_repeated_callback_is_counted(store: Store, ran_once: Verdict) -> None:
    judge(store, chord(), ran_once)
    judge(store, chord(callback=Callback(name=CALLBACK)), ran_once)
    assert store.counters().repeated == {}


def test_one_that_comes_late_counts_no_repeated_callback(store: Store) -> None:
    judged = chord()
    judge(store, judged, LOST)
    judge(store, judged, BODY_TWICE, at=NOW - 1)
    assert store.counters().repeated == {}


def test_beyond_two_hundred_callbacks_all_are_other(store: Store) -> None:
    for number in range(202):
        judge(store, chord(callback=Callback(task_id="body", name=f"zoo.whole_{number}")), LOST, BODY_TWICE)
    counters = store.counters()
    assert len(counters.verdicts) == 2 * 201
    assert counters.verdicts["other", "hung", "worker_lost"] == 2
    assert len(counters.repeated) == 201
    assert counters.repeated["other"] == 2


def test_one_that_comes_late_is_ignored_and_one_by_another_clock_is_not(store: Store) -> None:
    judged = chord()
    judge(store, judged, at=NOW)
    judge(store, judged, LOST, at=NOW)
    assert judge(store, judged, at=NOW - LATE_SECONDS + 1) == Judged()
    assert store.judgements([judged.chord_id])[judged.chord_id].at == NOW
    assert judge(store, judged, LATE, at=NOW - LATE_SECONDS - 1) == Judged(
        ("eta_scheduled",), ("worker_lost",)
    )


def test_the_newest_are_listed_first(store: Store) -> None:
    judged = [chord() for _ in range(4)]
    for at, each in zip((3, 1, 4, 2), judged, strict=True):
        judge(store, each, LOST, at=NOW + at)
    expected = [judged[place].chord_id for place in (2, 0, 3, 1)]
    assert list(store.judged_ids()) == expected
    assert [each.chord.chord_id for each in store.judged(2)] == expected[:2]
    judge(store, judged[1], LOST, at=NOW + 5)
    assert next(iter(store.judged_ids())) == judged[1].chord_id


def test_a_judgement_is_kept_for_its_time_and_its_count_for_longer(store: Store) -> None:
    judged = chord()
    judge(store, judged, LOST, at=time.time(), keep=0.3)
    assert store.judgements([judged.chord_id])
    wait_until(lambda: not store.judgements([judged.chord_id]), "it is forgotten", 10)
    judge(store, chord(), LOST, at=time.time(), keep=0.3)
    assert judged.chord_id not in store.judged_ids()
    assert store.counters().verdicts == {(CALLBACK, "hung", "worker_lost"): 2}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (judgements, __import__("chordwatch.store.redis_judgements", fromlist=["_"])):
        monkeypatch.setattr(module, "MAX_JUDGEMENTS", 3)


@pytest.mark.usefixtures("few")
def test_the_oldest_is_dropped_beyond_the_limit(open_store: OpenStore) -> None:
    store = open_store()
    judged = [chord() for _ in range(5)]
    for at, each in enumerate(judged):
        judge(store, each, LOST, at=NOW + at)
    assert list(store.judged_ids()) == [each.chord_id for each in reversed(judged[2:])]
    assert list(store.judgements([judged[0].chord_id])) == []
    assert judge(store, judged[0], LOST, at=NOW + 9) == Judged(new=("worker_lost",))


def test_a_large_header_is_cut_and_what_is_not_counted_stays(store: Store) -> None:
    header = tuple(HeaderTask(index=n, task_id=f"h{n}", counted=n < 2500) for n in range(3000))
    missing = tuple(MissingPart(index=n) for n in range(3000))
    long = verdict(tasks=tuple(map(str, range(3000))))
    judged = chord(header=header, missing=missing)
    judge(store, judged, long)
    found = store.judgements([judged.chord_id])[judged.chord_id].chord
    assert [task.index for task in found.header] == [*range(500), *range(2500, 3000)]
    assert len(found.missing) == len(found.verdicts[0].tasks) == 1000
    assert (found.size, found.counted) == (2, 1)


def test_a_judgement_takes_bounded_space() -> None:
    header = tuple(HeaderTask(index=n, task_id=new_id(), name=new_id() * 20) for n in range(1000))
    judgement = Judgement(chord=chord(LOST, header=header), at=NOW)
    assert len(pack_judgement(judgement)) <= 1 << 16
    assert bounded(judgement.chord) == judgement.chord


def test_of_many_who_judge_at_once_one_is_told(open_redis_store: OpenStore) -> None:
    judged = [chord() for _ in range(50)]
    stores = [open_redis_store() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        told = pool.map(lambda store: [judge(store, each, LOST, BODY_TWICE) for each in judged], stores)
    new = [sum(len(change.new) == 2 for change in of_chord) for of_chord in zip(*told, strict=True)]
    assert new == [1] * 50
    counters = stores[0].counters()
    assert counters.verdicts[CALLBACK, "hung", "worker_lost"] == 50
    assert counters.repeated == {CALLBACK: 50}


def test_judgements_take_a_quarter_of_the_size_limit(open_redis_store: OpenStore) -> None:
    store = open_redis_store(store_max_mb=0.1)
    empty = store.state().bytes_used
    sizes = []
    for at in range(100):
        header = tuple(HeaderTask(index=n, task_id=new_id()) for n in range(20))
        judge(store, chord(header=header), LOST, at=NOW + at)
        sizes.append(store.state().bytes_used - empty)
    assert sizes[0] > 500
    assert max(sizes) <= 0.1 * (1 << 20) / 4 < sizes[0] * 100
    kept = len(store.judged_ids())
    assert 10 < kept < 100
    assert len(store.judged(100)) == kept


def test_what_was_dropped_leaves_no_bytes(open_redis_store: OpenStore, redis: RedisServer) -> None:
    store, prefix = open_redis_store(), Keys("default").prefix
    for _ in range(5):
        judge(store, chord(), LOST, at=time.time(), keep=0.2)
    wait_until(lambda: not list(redis.broker.scan_iter(match=prefix + b"v:*")), "all are over", 10)
    judge(store, chord(), LOST, at=1.0, keep=0.2)
    assert store.state().bytes_used == 0


@pytest.mark.parametrize("kind", ["string", "empty", "list", "hash", "set", "zset"])
@pytest.mark.parametrize("name", ["v", "judged", "sizes", "k", "callbacks", "m"])
def test_foreign_data_stops_no_monitor(
    kind: str, name: str, open_redis_store: OpenStore, redis: RedisServer
) -> None:
    store, keys, judged = open_redis_store(), Keys("default"), chord()
    judge(store, judged, LOST)
    key = next(redis.broker.scan_iter(match=keys.prefix + b"v:*")) if name == "v" else keys(name)
    plant(redis.broker, key, kind)
    store.judgements([judged.chord_id])
    list(store.judged(10))
    judge(store, judged, FLUSHED, at=NOW + 1)
    store.state()
    assert [each.cause for each in store.judgements([judged.chord_id])[judged.chord_id].chord.verdicts] == [
        "chord_state_flushed"
    ]
    judge(store, chord(), LOST, at=NOW + 2)
    assert len(store.judged(10)) >= 1


def test_what_cannot_be_read_is_left_out_and_counted(open_redis_store: OpenStore, redis: RedisServer) -> None:
    store, judged = open_redis_store(), [chord() for _ in range(2)]
    for each in judged:
        judge(store, each, LOST)
    key = next(redis.broker.scan_iter(match=Keys("default").prefix + b"v:*"))
    redis.broker.hset(key, "told", b"\x78\x9cfive")
    assert len(store.judged(10)) == 1
    assert store.state().unreadable == {"judgement": 1}
