from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery

from chordwatch.errors import SettingError
from chordwatch.settings import SETTINGS, Settings, read_settings


def test_without_anything_the_defaults_hold() -> None:
    settings = read_settings({})

    assert (settings.namespace, settings.look_seconds, settings.monitor_interval) == ("default", 3.0, 5.0)
    assert set(settings.origins.values()) == {"default"}


def test_an_argument_beats_the_environment_which_beats_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conf = {"chordwatch_look_seconds": 4}
    assert (read_settings(conf).look_seconds, read_settings(conf).origins["look_seconds"]) == (
        4.0,
        "celery configuration",
    )

    monkeypatch.setenv("CHORDWATCH_LOOK_SECONDS", "5")
    assert (read_settings(conf).look_seconds, read_settings(conf).origins["look_seconds"]) == (
        5.0,
        "environment",
    )

    settings = read_settings(conf, look_seconds=6)
    assert (settings.look_seconds, settings.origins["look_seconds"]) == (6.0, "argument")


def test_an_argument_that_is_none_does_not_count() -> None:
    assert read_settings({}, monitor_interval=None).origins["monitor_interval"] == "default"


def test_a_value_may_be_a_number_or_its_text() -> None:
    assert read_settings({"chordwatch_look_seconds": "0.5"}).look_seconds == 0.5
    assert read_settings({"chordwatch_look_seconds": 1}).look_seconds == 1.0


@pytest.mark.parametrize(
    "value",
    [
        "soon",
        "",
        "3 s",
        None,
        True,
        [3],
        float("nan"),
        float("inf"),
        "1e999",
        -1,
        0,
        0.05,
        "x" * 5000,
        "a\nb",
    ],
)
def test_a_bad_value_is_one_sentence_that_names_the_key(value: Any) -> None:
    if value is None:
        return  # does not count

    with pytest.raises(SettingError) as caught:
        read_settings({"chordwatch_look_seconds": value})

    sentence = str(caught.value)
    assert sentence.startswith("chordwatch_look_seconds is ")
    assert sentence.endswith(("must be a number of seconds.", "must be at least 0.1 seconds."))
    assert "\n" not in sentence
    assert len(sentence) < 200


def test_a_bad_value_of_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORDWATCH_MONITOR_INTERVAL", "0.1")

    with pytest.raises(
        SettingError, match=r"^CHORDWATCH_MONITOR_INTERVAL is '0\.1', but must be at least 0\.5 seconds\.$"
    ):
        read_settings({})


def test_the_configuration_of_a_celery_app_is_read() -> None:
    app = Celery("project", set_as_current=False)
    app.conf.chordwatch_namespace = "shop"

    assert read_settings(app.conf).namespace == "shop"


@pytest.mark.parametrize("source", [SimpleNamespace, dict])
def test_django_settings_are_read_under_their_namespace(source: Any) -> None:
    app = Celery("project", set_as_current=False)
    settings = source(CELERY_CHORDWATCH_LOOK_SECONDS=7, CELERY_RESULT_EXPIRES=11, DEBUG=True)
    app.config_from_object(settings, namespace="CELERY")

    effective = read_settings(app.conf)

    assert effective.look_seconds == 7.0
    assert effective.origins["look_seconds"] == "celery configuration"
    assert effective.origins["namespace"] == "default"


def test_every_setting_has_a_field_a_default_and_a_meaning() -> None:
    assert {setting.name for setting in SETTINGS} == set(Settings.__slots__) - {"origins"}
    for setting in SETTINGS:
        assert setting.help.endswith(".")
        assert setting.key == f"chordwatch_{setting.name}"
        assert setting.env == setting.key.upper()
        if isinstance(setting.default, float):
            assert setting.minimum is not None
            assert setting.default >= setting.minimum
