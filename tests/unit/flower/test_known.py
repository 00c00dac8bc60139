from __future__ import annotations

import asyncio
import threading

import pytest
from celery import Celery
from tornado.web import Application

from chordwatch.errors import ChordwatchError, SettingError, UnreachableError
from chordwatch.flower.known import Known
from tests.unit.dashboards.dashboard_fakes import FakeSource, board, row


@pytest.fixture
def known() -> Known:
    known = Known(Celery("watched", broker="memory://", set_as_current=False))
    known.source = FakeSource()  # type: ignore[assignment]  # what a page asks of it
    return known


def test_a_question_that_takes_long_neither_stops_the_loop_nor_is_waited_for(known: Known) -> None:
    answered = threading.Event()

    async def ask_and_go_on() -> None:
        asked = asyncio.ensure_future(known.ask(answered.wait, seconds=0.1))
        # Were the question asked in the loop, this would wait for its answer for ever.
        await asyncio.sleep(0)
        with pytest.raises(ChordwatchError, match=r"no answer after 0\.1 s"):
            await asked

    try:
        asyncio.run(ask_and_go_on())
    finally:
        answered.set()


def test_an_error_is_the_askers(known: Known) -> None:
    known.source.seen = UnreachableError("The broker does not answer.")  # type: ignore[attr-defined]  # a fake

    with pytest.raises(UnreachableError):
        asyncio.run(known.ask(known.board, seconds=5))


def test_chords_that_are_not_well_are_known_by_their_ids(known: Known) -> None:
    rows = [row(health, health) for health in ("hung", "looping", "failed", "late", "waiting", "ok")]
    known.source.seen = board(*rows)  # type: ignore[attr-defined]  # a fake

    assert set(known.troubled()) == {"hung", "looping", "failed", "late"}


def test_each_flower_has_its_own_and_keeps_it() -> None:
    def flower(**settings: object) -> Application:
        application = Application()
        application.capp = Celery("watched", broker="memory://", set_as_current=False, changes=settings)  # type: ignore[attr-defined]  # as Flower's
        return application

    one, other = flower(), flower()
    assert Known.of(one) is Known.of(one)
    assert Known.of(one) is not Known.of(other)
    with pytest.raises(SettingError):
        Known.of(flower(chordwatch_monitor_interval="often"))
