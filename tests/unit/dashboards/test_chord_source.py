from __future__ import annotations

from pathlib import Path

import chord_source
import pytest
from chord_source import app_from_environment

from chordwatch.board.report import report_of
from chordwatch.errors import SettingError
from tests.unit.cli.rendered import sighting


@pytest.fixture(autouse=True)
def _no_app_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (chord_source.APP_VARIABLE, chord_source.BROKER_VARIABLE, chord_source.BACKEND_VARIABLE):
        monkeypatch.delenv(name, raising=False)


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
    assert "- Settings: not known" in report_of(sighting(), (), app)


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
