from __future__ import annotations

import logging
import threading
from pathlib import Path

import chord_source
import pytest
from chord_source import INTERVAL, REST_FACTOR, SharedLook, app_from_environment
from dashboard_fakes import FakeWatch, look

from chordwatch.errors import ChordwatchError, SettingError, UnreachableError


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return what the hand says."""
        return self.now


@pytest.fixture(autouse=True)
def _no_app_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (chord_source.APP_VARIABLE, chord_source.BROKER_VARIABLE, chord_source.BACKEND_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def end_of_refresh(shared: SharedLook) -> None:
    """Wait until no look is being taken: whoever takes one holds the lock."""
    assert shared._looking.acquire(timeout=10)
    shared._looking.release()


def test_many_viewers_cause_one_look() -> None:
    watch, clock = FakeWatch(look()), Clock()
    shared = SharedLook(lambda: watch, clock=clock)

    for _ in range(50):
        assert shared.current().seen is watch.answer
        clock.now += INTERVAL / 100

    assert watch.asked == [{"health": "open", "limit": None}]


def test_viewers_who_come_at_the_same_moment_share_the_first_look() -> None:
    release = threading.Event()
    answer = look()

    class SlowWatch(FakeWatch):
        def look(self, **question: object) -> object:
            release.wait(10)
            return super().look(**question)

    watch = SlowWatch(answer)
    shared = SharedLook(lambda: watch, clock=Clock())
    seen: list[object] = []
    viewers = [threading.Thread(target=lambda: seen.append(shared.current().seen)) for _ in range(8)]
    for viewer in viewers:
        viewer.start()
    release.set()
    for viewer in viewers:
        viewer.join(10)

    assert seen == [answer] * 8
    assert len(watch.asked) == 1


def test_a_look_that_is_due_is_taken_while_the_viewer_goes_on_with_the_one_before() -> None:
    old, new = look(), look(partial=True)
    watch, clock = FakeWatch(old), Clock()
    shared = SharedLook(lambda: watch, clock=clock)
    shared.current()
    watch.answer = new
    clock.now += INTERVAL * 1.5

    assert shared.current().seen is old

    end_of_refresh(shared)
    assert shared.current().seen is new


def test_after_a_long_pause_the_viewer_waits_instead_of_seeing_the_past() -> None:
    watch, clock = FakeWatch(look()), Clock()
    shared = SharedLook(lambda: watch, clock=clock)
    shared.current()
    watch.answer = look(partial=True)
    clock.now += INTERVAL * (REST_FACTOR + 1)

    assert shared.current().seen is watch.answer


def test_an_expensive_look_is_taken_less_often() -> None:
    clock = Clock()

    class ExpensiveWatch(FakeWatch):
        def look(self, **question: object) -> object:
            clock.now += 10
            return super().look(**question)

    watch = ExpensiveWatch(look())
    shared = SharedLook(lambda: watch, clock=clock)
    shared.current()
    clock.now += 10 * REST_FACTOR - 1
    shared.current()

    assert len(watch.asked) == 1


def test_an_error_is_an_outcome_and_is_tried_again_when_due() -> None:
    error = UnreachableError("The broker does not answer.")
    watch, clock = FakeWatch(error), Clock()
    shared = SharedLook(lambda: watch, clock=clock)

    assert shared.current().seen is error

    watch.answer = look()
    clock.now += INTERVAL * 1.5
    shared.current()
    end_of_refresh(shared)
    assert shared.current().seen is watch.answer


def test_the_connection_is_opened_once_and_again_only_after_it_could_not_be() -> None:
    opened: list[int] = []
    clock = Clock()
    watch = FakeWatch(look())

    def open_watch() -> FakeWatch:
        opened.append(1)
        if len(opened) == 1:
            raise SettingError("No app.")
        return watch

    shared = SharedLook(open_watch, clock=clock)
    for _ in range(4):
        shared.current()
        end_of_refresh(shared)
        clock.now += INTERVAL * 1.5

    assert len(opened) == 2


def test_a_defect_becomes_a_sentence_and_its_details_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    shared = SharedLook(lambda: FakeWatch(RuntimeError("redis://:secret@host")), clock=Clock())

    with caplog.at_level(logging.ERROR):
        seen = shared.current().seen

    assert isinstance(seen, ChordwatchError)
    assert str(seen) == "The look failed with RuntimeError; the dashboard's log has the details."
    assert "Traceback" in caplog.text


def test_without_any_app_the_sentence_names_what_to_set() -> None:
    with pytest.raises(
        SettingError, match=r"set CHORDWATCH_APP .* CELERY_BROKER_URL and CELERY_RESULT_BACKEND"
    ):
        app_from_environment()


def test_celerys_own_variables_make_a_plain_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://broker.example:6379/0")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "redis://backend.example:6379/1")

    app = app_from_environment()

    assert app.conf.broker_url == "redis://broker.example:6379/0"
    assert app.conf.result_backend == "redis://backend.example:6379/1"


def test_the_app_is_found_as_celery_finds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "found_by_dashboard.py").write_text("from celery import Celery\napp = Celery('found')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHORDWATCH_APP", "found_by_dashboard")

    assert app_from_environment().main == "found"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no_such_project", "ModuleNotFoundError"),
        ("dashboard_fakes", "AttributeError"),
        ("dashboard_fakes:nothing", "Error"),
        ("dashboard_fakes:HOSTILE", "not a Celery app"),
        (":", "Error"),
    ],
)
def test_a_wrong_name_is_a_sentence(monkeypatch: pytest.MonkeyPatch, name: str, reason: str) -> None:
    monkeypatch.setenv("CHORDWATCH_APP", name)

    with pytest.raises(SettingError, match=reason) as caught:
        app_from_environment()

    assert f"CHORDWATCH_APP is '{name}'" in str(caught.value)
    assert "celery -A" in str(caught.value)
