"""The loop hands each look to the judge and outlives whatever goes wrong there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from celery import Celery

from chordwatch.errors import UnreachableError
from chordwatch.service.loop import Loop
from chordwatch.settings import read_settings
from chordwatch.watch import Look
from chordwatch.watch.recorded import Totals
from tests.support.polling import wait_until


class FakeWatch:
    """Looks without a broker; `problem` is raised instead."""

    def __init__(self) -> None:
        self.problem: Exception | None = None
        self.looks = 0
        self.undecided = False
        self.closed = False

    def totals(self) -> Totals:
        """Return nothing."""
        return Totals()

    def look(self, **_: Any) -> Look:
        """Return an empty look, numbered."""
        self.looks += 1
        if self.problem:
            raise self.problem
        return Look(taken_at=float(self.looks))

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class FakeJudge:
    """Remembers the looks; `problem` is raised instead."""

    def __init__(self) -> None:
        self.problem: Exception | None = None
        self.judged: list[float] = []
        self.closed = False

    def judge(self, look: Look) -> None:
        """Remember it."""
        self.judged.append(look.taken_at)
        if self.problem:
            raise self.problem

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class FakePoster(FakeJudge):
    """Remembers the looks in `judged` as a judge does."""

    def post(self, look: Look, totals: Totals | None) -> None:
        """Remember it."""
        assert totals is not None
        self.judge(look)


@pytest.fixture
def poster() -> FakePoster:
    return FakePoster()


@pytest.fixture
def parts(poster: FakePoster) -> tuple[Loop, FakeWatch, FakeJudge, FakeJudge]:
    watch, judge, webhook = FakeWatch(), FakeJudge(), FakeJudge()
    settings = read_settings({}, monitor_interval=0.5)
    app = Celery(set_as_current=False)
    loop = Loop(app, settings, judge=judge, poster=poster, webhook=webhook)  # type: ignore[arg-type]
    loop._watch = watch  # type: ignore[assignment]
    return loop, watch, judge, webhook


Parts = tuple[Loop, FakeWatch, FakeJudge, FakeJudge]


def test_each_look_is_posted_and_judged_and_the_end_closes_everything(
    parts: Parts, poster: FakePoster
) -> None:
    loop, watch, judge, webhook = parts
    loop.start()
    wait_until(lambda: len(judge.judged) >= 2, "two looks are judged")
    loop.stop()

    assert judge.judged[:2] == poster.judged[:2] == [1.0, 2.0]
    assert watch.closed
    assert judge.closed
    assert poster.closed
    assert webhook.closed
    assert loop.errors == {"look": 0, "judge": 0, "post": 0}


def test_a_judge_that_fails_stops_no_look(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    loop, _, judge, _ = parts
    judge.problem = RuntimeError("unforeseen")
    loop.start()
    wait_until(lambda: len(judge.judged) >= 2, "the loop goes on")
    loop.stop()

    assert loop.errors["judge"] == len(judge.judged)
    assert loop.glance.error is None
    assert "What a look found could not be handed on (judge)." in caplog.text


def test_what_cannot_be_posted_stops_no_look_and_no_judge(
    parts: Parts, poster: FakePoster, caplog: pytest.LogCaptureFixture
) -> None:
    loop, _, judge, _ = parts
    poster.problem = RuntimeError("unforeseen")
    for _ in range(2):
        loop._take(0.0)

    assert loop.errors["post"] == 2
    assert judge.judged == [1.0, 2.0]
    assert loop.glance.error is None
    assert "What a look found could not be handed on (post)." in caplog.text


def test_a_look_that_failed_is_neither_posted_nor_judged_and_counted_where_it_was_not_foreseen(
    parts: Parts, poster: FakePoster
) -> None:
    loop, watch, judge, _ = parts
    for problem in (UnreachableError("The broker is away."), RuntimeError("unforeseen")):
        watch.problem = problem
        loop._take(0.0)

    assert judge.judged == poster.judged == []
    assert loop.errors["look"] == 1


def test_the_server_that_did_not_answer_is_known_until_a_look_succeeds(parts: Parts) -> None:
    loop, watch, _, _ = parts
    said = []
    for problem in (UnreachableError("Away.", server="broker"), RuntimeError("unforeseen"), None):
        watch.problem = problem
        loop._take(0.0)
        said.append((loop.glance.unreachable, bool(loop.glance.error)))

    assert said == [("broker", True), (None, True), (None, False)]


def test_where_a_second_look_decides_it_comes_soon(parts: Parts) -> None:
    loop, watch, _, _ = parts
    loop._settings = replace(loop._settings, monitor_interval=60.0)
    watch.undecided = True
    loop.start()
    wait_until(lambda: watch.looks >= 2, "the second look is taken", 10.0)
    loop.stop()
