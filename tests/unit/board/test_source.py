"""One source for all viewers: the monitor's board or one of its own, chords, history, findings, and only sentences."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from celery import Celery

from chordwatch.board import source as source_module
from chordwatch.board.history import Sample, post_sample
from chordwatch.board.posted import pack_board
from chordwatch.board.rows import Board
from chordwatch.board.source import Source
from chordwatch.errors import ChordwatchError, SettingError, UnreachableError
from chordwatch.store.memory import MemoryStore
from chordwatch.store.protocol import Judgement, Store
from chordwatch.watch.look import Look, Sighting
from chordwatch.watch.recorded import Totals
from tests.unit.board.test_make import verdict
from tests.unit.recorded import AWAY
from tests.unit.seen import NOW, open_chord

POSTED = Board(taken_at=NOW, looker="monitor", interval=5.0, counts={"ok": 1})
SIGHTING = Sighting(chord=open_chord(chord_id="c1", health="hung"))


class FakeWatch:
    """Answers like a Watch; `problem` is raised instead."""

    def __init__(self) -> None:
        self.problem: Exception | None = None
        self.undecided = False
        self.asked: list[Any] = []

    def look(self, **question: Any) -> Look:
        """Return one hung chord."""
        self._ask(question)
        return Look(taken_at=NOW, sightings=(SIGHTING,))

    def totals(self) -> Totals:
        """Return nothing."""
        return Totals()

    def sight(self, wanted: str) -> tuple[Sighting | None, tuple[str, ...]]:
        """Return the chord c1, and none of other ids."""
        self._ask(("sight", wanted))
        return (SIGHTING if wanted == "c1" else None), ("A gap.",)

    def sight_again(self, wanted: str) -> tuple[Sighting | None, tuple[str, ...]]:
        """Return the same, later."""
        self._ask(("sight_again", wanted))
        return (SIGHTING if wanted == "c1" else None), ("A gap.",)

    def explained(self, wanted: str) -> tuple[Sighting | None, tuple[str, ...]]:
        """Return the chord c1, looking again."""
        self._ask(("explained", wanted))
        return (replace(SIGHTING, complete=True) if wanted == "c1" else None), ()

    def related(self, sighting: Sighting) -> tuple[Any, ...]:
        """Return none."""
        assert sighting.chord.chord_id == "c1"
        return ()

    def close(self) -> None:
        """Do nothing."""

    def _ask(self, question: Any) -> None:
        self.asked.append(question)
        if self.problem:
            raise self.problem


class Bench(Source):
    """A source of a watch and a store that are given, without a time in which anything is kept."""

    def __init__(self) -> None:
        app = Celery("bench", broker="memory://", backend="cache+memory://", set_as_current=False)
        super().__init__(app)
        self.watch = FakeWatch()
        self.store: Store | Exception = MemoryStore()
        self.later = 0.0
        self._board._clock = lambda: self.later

    def post(self, board: Board) -> None:
        """Post a board as a monitor does."""
        assert isinstance(self.store, MemoryStore)
        self.store.post("board", pack_board(board), keep=60)

    def after(self, seconds: float) -> Board | ChordwatchError:
        """Return the board so many seconds later."""
        self.later += seconds
        return self.board()

    def _open_watch(self) -> Any:
        return self.watch

    def _open_store(self) -> Store:
        if isinstance(self.store, Exception):
            raise self.store
        return self.store


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_where_a_monitor_posts_its_board_nothing_else_is_looked_at(bench: Bench) -> None:
    bench.post(POSTED)

    assert bench.board() == POSTED
    assert bench.watch.asked == []


def test_a_posted_board_is_read_twice_in_the_monitors_interval_and_unpacked_once(bench: Bench) -> None:
    bench.post(POSTED)
    first = bench.board()
    assert bench.after(2.0) is first
    bench.post(replace(POSTED, taken_at=NOW + 5))
    assert bench.after(0.4) is first

    assert bench.after(0.2) == replace(POSTED, taken_at=NOW + 5)
    assert bench.after(2.5) is bench.after(2.5)


def test_where_no_monitor_runs_the_dashboard_looks_itself(bench: Bench) -> None:
    board = bench.board()

    assert isinstance(board, Board)
    assert (board.looker, board.stuck) == ("dashboard", 1)
    assert bench.watch.asked == [{"health": "open", "limit": None}]


def test_a_monitor_that_starts_takes_over(bench: Bench) -> None:
    bench.board()
    bench.post(POSTED)

    assert bench.after(5.0) == POSTED


def test_what_is_no_board_of_ours_is_as_if_none_was_posted(bench: Bench) -> None:
    bench.post(POSTED)
    bench.board()
    assert isinstance(bench.store, MemoryStore)
    bench.store.post("board", b"foreign", keep=60)

    board = bench.after(5.0)

    assert isinstance(board, Board)
    assert board.looker == "dashboard"


@pytest.mark.parametrize("problem", [UnreachableError(AWAY), SettingError("No store.")])
def test_without_a_store_the_dashboard_looks_itself(bench: Bench, problem: Exception) -> None:
    bench.store = problem

    board = bench.board()

    assert isinstance(board, Board)
    assert board.looker == "dashboard"


def test_a_look_that_fails_is_an_error_and_never_the_board_before(bench: Bench) -> None:
    bench.board()
    bench.watch.problem = UnreachableError("The broker does not answer.")

    assert bench.after(5.0) is bench.watch.problem

    bench.watch.problem = None
    assert isinstance(bench.after(5.0), Board)


def test_a_defect_is_a_sentence(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.watch.problem = RuntimeError("redis://:secret@host")

    seen = bench.board()

    assert isinstance(seen, ChordwatchError)
    assert str(seen) == "The look failed with RuntimeError; the log has more."
    assert "Traceback" in caplog.text


def test_where_a_second_look_decides_it_is_due_soon(bench: Bench) -> None:
    bench.watch.undecided = True
    bench.board()
    bench.after(1.0)

    assert len(bench.watch.asked) == 2


def test_a_chord_is_looked_at_once_for_its_viewers(bench: Bench) -> None:
    pages = [bench.chord("c1") for _ in range(5)]

    assert len({id(page) for page in pages}) == 1
    assert pages[0] is not None
    assert (pages[0].chord.chord_id, pages[0].notes) == ("c1", ("A gap.",))
    assert bench.watch.asked == [("sight", "c1")]


def test_an_explanation_looks_anew_and_is_the_page_from_then_on(bench: Bench) -> None:
    bench.chord("c1")

    explained = bench.explain("c1")

    assert explained is bench.chord("c1")
    assert bench.watch.asked == [("sight", "c1"), ("explained", "c1")]


def test_a_chord_of_which_two_looks_decide_is_looked_at_twice(bench: Bench) -> None:
    bench.watch.undecided = True
    bench.chord("c1")

    assert bench.watch.asked == [("sight", "c1"), ("sight_again", "c1")]


def test_of_such_a_chord_a_monitors_word_is_taken_while_it_runs_and_the_chord_is_as_it_was(
    bench: Bench,
) -> None:
    bench.watch.undecided = True
    found = verdict("message_lost", "hung")
    assert isinstance(bench.store, MemoryStore)
    bench.store.judge(Judgement(chord=replace(SIGHTING.chord, verdicts=(found,)), at=NOW), keep=60)
    bench.post(POSTED)

    page = bench.chord("c1")

    assert page is not None
    assert (page.chord.health, page.chord.verdicts) == ("hung", (found,))
    assert bench.watch.asked == [("sight", "c1")]

    bench.store.judge(Judgement(chord=replace(SIGHTING.chord, verdicts=(found,), counted=0), at=NOW), keep=60)
    bench.watch.asked.clear()
    assert bench._decided(bench.watch, "c1")[0] is SIGHTING  # type: ignore[arg-type]
    assert bench.watch.asked == [("sight", "c1"), ("sight_again", "c1")]


def test_an_unknown_id_is_none(bench: Bench) -> None:
    assert bench.chord("nonsense \udc80") is None
    assert bench.explain("nonsense \udc80") is None


@pytest.mark.parametrize("problem", [UnreachableError("Away."), ValueError("secret")])
def test_a_chord_that_cannot_be_read_is_an_error(bench: Bench, problem: Exception) -> None:
    bench.watch.problem = problem

    for ask in (bench.chord, bench.explain):
        with pytest.raises(ChordwatchError) as caught:
            ask("c1")
        assert "secret" not in str(caught.value)


def test_many_chords_leave_only_so_many_pages(bench: Bench) -> None:
    for index in range(100):
        bench.chord(f"no chord {index}")

    assert len(bench._pages._entries) == 32


def test_the_history_is_what_monitors_posted(bench: Bench) -> None:
    assert isinstance(bench.store, MemoryStore)
    post_sample(bench.store, Sample(at=bench.store.now(), counts={"hung": 3}))

    assert [sample.counts for sample in bench.history(3600)] == [{"hung": 3}]


def test_who_may_not_ask_the_store_for_its_clock_takes_his_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(bench.store, MemoryStore)
    post_sample(bench.store, Sample(at=bench.store.now()))

    refusals = [UnreachableError("The store refuses a command that it needs: time.")]

    def now() -> float:
        if refusals:
            raise refusals.pop()
        return time.time()

    monkeypatch.setattr(bench.store, "now", now)

    assert len(bench.history(3600)) == 1
    assert refusals == []


@pytest.mark.parametrize("problem", [UnreachableError(AWAY), SettingError("No store."), KeyError("secret")])
def test_a_history_that_cannot_be_read_is_an_error(bench: Bench, problem: Exception) -> None:
    bench.store = problem

    with pytest.raises(ChordwatchError) as caught:
        bench.history(3600)

    assert "secret" not in str(caught.value)


def test_the_doctor_is_asked_once_a_minute_or_when_it_is_wanted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Celery] = []
    monkeypatch.setattr(source_module, "examination_of", lambda app: asked.append(app) or len(asked))

    assert [bench.findings(), bench.findings(), bench.findings(anew=True), bench.findings()] == [1, 1, 2, 2]


def test_a_doctor_that_fails_is_a_sentence(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(app: Celery) -> None:
        raise RuntimeError(f"secret of {app}")

    monkeypatch.setattr(source_module, "examination_of", fail)

    with pytest.raises(ChordwatchError, match=r"This failed with RuntimeError; the log has more\."):
        bench.findings()


def test_the_doctor_says_on_what_its_findings_stand(bench: Bench) -> None:
    examination = bench.findings()

    assert (examination.chords, examination.unreachable) == (0, ())
    assert {finding.severity for finding in examination.findings} <= {"error", "warning", "note"}
