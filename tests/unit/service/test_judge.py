"""What the monitor writes and tells of its looks: each change once, a recovery only when something speaks for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from chordwatch.diagnosis.causes import REMARKS
from chordwatch.errors import SettingError, UnreachableError
from chordwatch.model import Callback, Chord, Verdict, health_of
from chordwatch.service.changes import Change
from chordwatch.service.judge import Judge
from chordwatch.store.memory import MemoryStore
from chordwatch.store.protocol import Judged, Judgement
from chordwatch.watch import Look, Sighting
from tests.unit.cli.rendered import verdict
from tests.unit.seen import NOW, open_chord

LOST = verdict(cause="worker_lost")
LATE = verdict(cause="eta_scheduled", outcome="late")
RUNNING = verdict(cause="header_running", outcome="ok")
QUEUED = verdict(cause="queued", outcome="waiting")


class Store(MemoryStore):
    """The twin, which counts what is written and can be away or refuse a judgement."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: NOW)
        self.away: Exception | None = None
        self.written: list[str] = []
        self.reads = 0

    def judge(self, judgement: Judgement, *, keep: float) -> Judged:
        """Keep it, unless the store is away."""
        if self.away:
            raise self.away
        self.written.append(judgement.chord.chord_id)
        return super().judge(judgement, keep=keep)

    def judgements(self, chord_ids: Iterable[str]) -> dict[str, Judgement]:
        """Read them, unless the store is away."""
        if self.away:
            raise self.away
        ids = list(chord_ids)
        self.reads += len(ids)
        return super().judgements(ids)


class Bench:
    """A judge that is given looks 5 seconds apart."""

    def __init__(self, store: Store | None = None) -> None:
        self.store, self.time, self.looks = store or Store(), 0.0, 0
        self.errors: Counter[str] = Counter()
        self.changes: list[Change] = []
        self.opened = 0
        self._judge = Judge(
            self._open, keep=1000.0, tell=self.changes.append, errors=self.errors, clock=lambda: self.time
        )

    def look(self, *chords: Chord, after: float = 5.0, partial: bool = False) -> list[tuple[str, str, str]]:
        """Judge a look; return what is told of it: chord, event, cause."""
        self.time += after
        self.changes.clear()
        seen = tuple(Sighting(chord=each) for each in chords)
        self._judge.judge(Look(taken_at=NOW + self.time, sightings=seen, partial=partial))
        return [(change.chord.chord_id, change.event, change.cause) for change in self.changes]

    def _open(self) -> Store:
        self.opened += 1
        return self.store


def chord(*verdicts: Verdict, chord_id: str = "group", **fields: Any) -> Chord:
    state = fields.get("state", "open")
    return open_chord(
        **{"chord_id": chord_id, "verdicts": verdicts, "health": health_of(state, verdicts), **fields}
    )


FOUND = [("group", "verdict", "worker_lost")]
RECOVERED = [("group", "recovered", "worker_lost")]


def test_a_verdict_is_told_once_and_kept() -> None:
    bench = Bench()

    assert bench.look(chord(LOST)) == FOUND
    assert bench.changes[0].verdict == LOST
    assert bench.look(chord(LOST)) == []
    assert bench.store.judgements(["group"])["group"].chord.verdicts == (LOST,)
    assert bench.store.counters().verdicts == {("zoo.collect", "hung", "worker_lost"): 1}


@pytest.mark.parametrize("outcome", ["hung", "looping", "failed", "late"])
def test_what_is_wrong_is_told(outcome: Any) -> None:
    assert Bench().look(chord(verdict(cause="worker_lost", outcome=outcome))) == FOUND


@pytest.mark.parametrize("harmless", [RUNNING, QUEUED])
def test_what_runs_or_waits_is_neither_told_nor_kept(harmless: Verdict) -> None:
    bench = Bench()

    assert bench.look(chord(harmless)) == []
    assert bench.store.written == []
    assert bench.look(chord(LOST, harmless)) == FOUND
    assert bench.store.judgements(["group"])["group"].chord.verdicts == (LOST,)


@pytest.mark.parametrize("remark", REMARKS)
def test_a_remark_is_told_of_a_chord_of_any_health(remark: str) -> None:
    found = verdict(cause=remark, outcome="ok")

    assert Bench().look(chord(found, state="succeeded", finished_at=NOW)) == [("group", "verdict", remark)]


def test_a_callback_that_ran_twice_is_written_at_once_and_not_told_again() -> None:
    bench = Bench()
    part = verdict(cause="duplicate_delivery", outcome="ok", tasks=("h0",))
    body = verdict(cause="duplicate_delivery", outcome="ok", tasks=("body", "h0"))
    over = {"state": "succeeded", "finished_at": NOW}

    assert bench.look(chord(part, **over)) == [("group", "verdict", "duplicate_delivery")]
    assert bench.look(chord(body, **over)) == []
    assert bench.look(chord(body, **over)) == []
    assert bench.store.written == ["group", "group"]
    assert bench.store.counters().repeated == {"zoo.collect": 1}
    again = Bench(bench.store)
    assert again.look(chord(body, **over)) == []
    assert bench.store.written == ["group", "group"]


def test_each_new_cause_and_each_worse_outcome_is_told() -> None:
    bench = Bench()
    hung = verdict(cause="eta_scheduled", outcome="hung")

    assert bench.look(chord(LATE)) == [("group", "verdict", "eta_scheduled")]
    assert bench.look(chord(LATE, LOST)) == FOUND
    assert bench.look(chord(hung, LOST)) == [("group", "verdict", "eta_scheduled")]
    assert bench.look(chord(LOST, hung, verdict(cause="worker_lost", summary="Another."))) == []


@pytest.mark.parametrize(
    "now",
    [
        chord(counted=2),
        chord(RUNNING, counted=2),
        chord(state="succeeded"),
        chord(state="failed"),
    ],
    ids=["it went on", "it went on and runs", "it succeeded", "it failed"],
)
def test_progress_is_a_recovery_at_once(now: Chord) -> None:
    bench = Bench()
    bench.look(chord(LOST))

    assert bench.look(now) == RECOVERED
    assert bench.changes[0].chord == now or bench.changes[0].chord.verdicts == ()
    assert list(bench.store.judged(10)) == []
    assert bench.look(now) == []


def test_another_verdict_that_stands_instead_is_a_recovery_at_the_second_look() -> None:
    bench = Bench()
    bench.look(chord(LOST))

    assert bench.look(chord(RUNNING)) == []
    assert bench.look(chord(RUNNING)) == RECOVERED


def test_a_cause_that_is_missed_once_is_not_gone() -> None:
    bench = Bench()
    bench.look(chord(LOST))

    for now in (chord(), chord(LOST), chord(RUNNING), chord(LOST), chord(RUNNING), chord(LOST)):
        assert bench.look(now) == []


def test_where_nothing_is_found_any_more_a_minute_passes() -> None:
    bench = Bench()
    bench.look(chord(LOST))

    assert [bench.look(chord()) for _ in range(12)] == [[]] * 12
    assert bench.look(chord()) == RECOVERED


def test_a_look_that_did_not_see_everything_clears_nothing() -> None:
    bench = Bench()
    bench.look(chord(LOST))

    assert [bench.look(chord(), after=60, partial=True) for _ in range(5)] == [[]] * 5
    assert bench.look(chord(counted=2), partial=True) == RECOVERED


def test_a_chord_whose_evidence_expired_keeps_its_verdict() -> None:
    bench = Bench()
    bench.look(chord(LOST, evidence_expires_at=NOW + 30))

    assert [bench.look(chord(), after=100) for _ in range(5)] == [[]] * 5
    assert [bench.look(after=100) for _ in range(5)] == [[]] * 5
    assert list(bench.store.judgements(["group"])) == ["group"]


def test_one_cause_of_two_that_goes_is_told() -> None:
    bench = Bench()
    bench.look(chord(LOST, LATE))

    assert bench.look(chord(LATE, counted=2)) == RECOVERED
    assert bench.look(chord(LATE, counted=2)) == []


def test_a_cause_that_comes_back_is_told_again_and_counted_once() -> None:
    bench = Bench()
    bench.look(chord(LOST))
    bench.look(chord(counted=2))

    assert bench.look(chord(LOST, counted=2)) == FOUND
    assert sum(bench.store.counters().verdicts.values()) == 1


def test_of_two_monitors_one_tells() -> None:
    store = Store()
    one, other = Bench(store), Bench(store)

    assert one.look(chord(LOST)) == FOUND
    assert other.look(chord(LOST)) == []
    assert other.look(chord(counted=2)) == RECOVERED
    assert one.look(chord(counted=2), after=8) == []


def test_a_monitor_that_starts_anew_tells_nothing_twice_and_clears_what_it_does_not_find() -> None:
    store = Store()
    Bench(store).look(chord(LOST))
    anew = Bench(store)

    assert anew.look(chord(LOST)) == []
    assert anew.look(chord(counted=2)) == RECOVERED


def test_a_monitor_that_starts_anew_takes_its_time_to_miss_what_another_found() -> None:
    store = Store()
    Bench(store).look(chord(LOST))
    anew = Bench(store)

    told = [anew.look(chord(RUNNING)) for _ in range(38)]

    assert told == [[]] * 36 + [RECOVERED, []]


def test_what_another_monitor_found_is_learnt_within_a_minute_and_only_of_chords_that_are_seen() -> None:
    store = Store()
    one, other = Bench(store), Bench(store)
    other.look(chord())
    one.look(chord(LOST), chord(LOST, chord_id="unseen"))

    assert other.look(chord(counted=2), after=30) == []
    assert other.look(chord(counted=2), after=31) == RECOVERED
    assert store.reads == 1


def test_nothing_is_written_while_nothing_changes() -> None:
    bench = Bench()
    for _ in range(11):
        bench.look(chord(LOST))
    assert bench.store.written == ["group"]

    for _ in range(11):
        bench.look(chord(verdict(cause="worker_lost", summary="Since ever longer.")))
    assert bench.store.written == ["group"] * 2
    assert bench.store.judgements(["group"])["group"].chord.verdicts[0].summary == "Since ever longer."


def test_what_hangs_for_long_is_written_anew_each_hour_and_what_ended_is_not() -> None:
    bench = Bench()
    ended = chord(verdict(cause="header_failed", outcome="failed"), chord_id="ended", state="failed")
    for _ in range(4):
        bench.look(chord(LOST), ended, after=1801)

    assert bench.store.written == ["group", "ended", "group"]


def test_the_budget_of_a_look_ends_it_and_the_next_goes_on() -> None:
    bench = Bench()
    chords = [chord(LOST, chord_id=str(n)) for n in range(5)]
    spend = bench.store.judge

    def slow(judgement: Judgement, *, keep: float) -> Judged:
        bench.time += 0.9
        return spend(judgement, keep=keep)

    bench.store.judge = slow  # type: ignore[method-assign]

    assert [id_ for id_, *_ in bench.look(*chords)] == ["0", "1", "2"]
    assert [id_ for id_, *_ in bench.look(*chords)] == ["3", "4"]


@pytest.mark.parametrize(
    "problem", [UnreachableError("away"), SettingError("no Redis")], ids=["away", "none"]
)
def test_without_a_store_changes_are_told_and_written_when_it_is_back(
    problem: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    bench.store.away = problem

    assert bench.look(chord(LOST)) == FOUND
    assert bench.look(chord(LOST)) == []
    assert bench.look(chord(LOST, LATE)) == [("group", "verdict", "eta_scheduled")]
    assert bench.look(chord(LATE, counted=2)) == RECOVERED
    bench.look(after=60)
    assert [record.message for record in caplog.records if "kept" in record.message] == [
        f"Verdicts are told, but not kept: {problem}"
    ]

    bench.store.away = None
    assert bench.look(chord(LATE, counted=2), after=11) == []
    assert bench.store.written == ["group"]
    assert bench.look(chord(LATE, counted=2)) == []


def test_what_ended_while_the_store_was_away_is_written_too() -> None:
    bench = Bench()
    bench.store.away = UnreachableError("away")
    failed = chord(verdict(cause="header_failed", outcome="failed"), state="failed")
    bench.look(failed)
    bench.store.away = None

    assert bench.look(failed, after=11) == []
    assert bench.store.written == ["group"]


def test_a_store_that_is_away_is_asked_again_after_ten_seconds_and_not_for_each_chord() -> None:
    bench = Bench()
    bench.store.away = UnreachableError("away")
    for _ in range(4):
        bench.look(*(chord(LOST, chord_id=str(n)) for n in range(10)))

    assert bench.opened == 2


def test_a_judgement_that_the_store_cannot_take_stops_no_other() -> None:
    bench = Bench()
    bench.look()
    bench.store.away = ValueError("The script failed.")

    assert len(bench.look(chord(LOST), chord(LOST, chord_id="other"))) == 2
    assert bench.errors["judge"] == 2


def test_a_chord_that_failed_long_before_it_was_first_seen_is_counted_and_not_told() -> None:
    bench = Bench()
    failed = verdict(cause="header_failed", outcome="failed")
    old = chord(failed, chord_id="old", state="failed", finished_at=NOW - 3600)
    new = chord(failed, chord_id="new", state="failed", finished_at=NOW - 60)

    assert bench.look(old, new) == [("new", "verdict", "header_failed")]
    assert bench.store.counters().verdicts == {("zoo.collect", "failed", "header_failed"): 2}
    assert bench.look(old, new) == []


def test_an_unnamed_callback_is_judged_too() -> None:
    assert Bench().look(chord(LOST, callback=Callback())) == FOUND
