from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery

from chordwatch.errors import SettingError
from chordwatch.settings import (
    SETTINGS,
    Setting,
    Settings,
    read_settings,
    shown_url,
)
from tests.support.servers import ROOT


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
        True,
        [3],
        float("nan"),
        float("inf"),
        "1e999",
        315_360_001,
        -1,
        0,
        0.05,
        "x" * 5000,
        "a\nb",
    ],
)
def test_a_bad_value_is_one_sentence_that_names_the_key(value: Any) -> None:
    with pytest.raises(SettingError) as caught:
        read_settings({"chordwatch_look_seconds": value})

    sentence = str(caught.value)
    assert sentence.startswith("chordwatch_look_seconds is ")
    assert sentence.endswith(
        (
            "must be a number of seconds.",
            "must be at least 0.1 seconds.",
            "must be at most 315360000 seconds.",
        )
    )
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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        ("On", True),
        ("yes", True),
        (1, True),
        (False, False),
        ("0", False),
        ("NO", False),
        ("off", False),
    ],
)
def test_a_switch_reads_the_usual_words(value: object, expected: object) -> None:
    assert read_settings({"chordwatch_enabled": value}).enabled is expected


@pytest.mark.parametrize("value", ["", "maybe", 2, [True], "tru"])
def test_a_switch_refuses_anything_else(value: object) -> None:
    with pytest.raises(SettingError, match=r"^chordwatch_enabled is .*, but must be true or false\.$"):
        read_settings({"chordwatch_enabled": value})


def test_a_whole_number_is_an_integer() -> None:
    size = read_settings({"chordwatch_buffer_size": "2e3"}).buffer_size

    assert (size, type(size)) == (2000, int)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [("1.5", "a whole number"), ("many", "a whole number"), (99, "at least 100"), ("inf", "a whole number")],
)
def test_a_bad_whole_number_is_said(value: object, complaint: str) -> None:
    with pytest.raises(SettingError, match=rf"^chordwatch_buffer_size is .*, but must be {complaint}\.$"):
        read_settings({"chordwatch_buffer_size": value})


@pytest.mark.parametrize("name", ["", "a b", "a{b}", "x" * 65, "sch\u00f6n", "a\n"])
def test_a_namespace_that_could_not_stand_in_a_key_is_refused(name: object) -> None:
    with pytest.raises(SettingError, match=r"^chordwatch_namespace is .* letters, digits"):
        read_settings({"chordwatch_namespace": name})


def test_a_choice_is_one_of_its_words() -> None:
    assert read_settings({"chordwatch_log_format": " JSON "}).log_format == "json"
    with pytest.raises(SettingError, match=r"chordwatch_log_format is 'xml', but must be text or json\."):
        read_settings({"chordwatch_log_format": "xml"})


def test_an_argument_that_is_no_setting_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(
        SettingError, match=r"^There is no setting flush_intervall; did you mean flush_interval\.$"
    ):
        read_settings({}, flush_intervall=1)


def test_settings_do_not_show_the_password_in_a_traceback() -> None:
    shown = repr(read_settings({}, store_url="redis://:sesame@host/0", dashboard_password="open-sesame"))

    assert "sesame" not in shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://:secret@h:1/0", "redis://**@h:1/0"),
        ("redis://secret:sec@ret@h", "redis://**@h"),
        ("redis://:secret;secret@h", "redis://**@h"),
        ("redis://:secret/secret@h", "redis://**@h"),
        ("redis://:secret?secret@h", "redis://**"),
        ("redis://h/0?password=secret", "redis://h/0"),
        ("redis://h/0?password=secret@secret", "redis://**"),
        ("unix://secret@/run/redis.sock?db=1", "unix://**@/run/redis.sock"),
        ("sentinel://:secret@a:1;sentinel://:secret@b:2/0", "sentinel://**@a:1;sentinel://**@b:2/0"),
        ("redis://h\n\x1b[31m", "redis://h\\n\\x1b[31m"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_every_setting_has_a_field_a_default_and_a_meaning() -> None:
    assert {setting.name for setting in SETTINGS} == set(Settings.__slots__) - {"origins"}
    types: dict[str, type] = {
        "seconds": float,
        "whole number": int,
        "yes or no": bool,
        "list of seconds": tuple,
    }
    for setting in SETTINGS:
        assert setting.help.endswith(".")
        assert setting.key == f"chordwatch_{setting.name}"
        assert setting.env == setting.key.upper()
        assert type(setting.default) is types.get(setting.kind, str)
        assert (setting.kind == "choice") == (setting.default in setting.choices)
        if type(setting.default) in {int, float}:
            assert 0 < setting.minimum <= setting.default <= setting.maximum


def documented_default(setting: Setting) -> str:
    match setting.default:
        case bool():
            return str(setting.default).lower()
        case int() | float():
            return f"{setting.default:.12g}"
        case tuple():
            return ", ".join(f"{bound:.12g}" for bound in setting.default)
    return f"`{setting.default}`" if setting.default else ""


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_docs_have_the_row_of_every_setting(setting: Setting) -> None:
    shown = documented_default(setting)
    row = f"| `{setting.key}` | `{setting.env}` | {shown} | {setting.help} |".replace("|  |", "| |")

    assert row in (ROOT / "docs" / "settings.md").read_text().splitlines()


def test_the_docs_have_no_row_of_a_setting_that_is_gone() -> None:
    rows = (ROOT / "docs" / "settings.md").read_text().count("| `chordwatch_")

    assert rows == len(SETTINGS)


@pytest.mark.parametrize(
    ("given", "bounds"),
    [("0.1, 1,10", (0.1, 1.0, 10.0)), ([1, 2.5], (1.0, 2.5)), ((7,), (7.0,)), ("1e-3", (0.001,))],
)
def test_bounds_are_a_list_or_a_text_with_commas(given: object, bounds: tuple[float, ...]) -> None:
    assert read_settings({"chordwatch_duration_buckets": given}).duration_buckets == bounds


@pytest.mark.parametrize(
    "given", ["", "1,1", "2,1", "0,1", "-1", "1,inf", "1,nan", "a", 5, [], [None], list(range(1, 42))]
)
def test_bounds_that_make_no_histogram_are_refused(given: object) -> None:
    with pytest.raises(
        SettingError, match=r"chordwatch_duration_buckets is .* each greater than the one before"
    ):
        read_settings({"chordwatch_duration_buckets": given})


@pytest.mark.parametrize("given", ["https://chords.example", "https://chords.example/"])
def test_an_address_has_no_slash_at_its_end(given: str) -> None:
    assert read_settings({"chordwatch_dashboard_url": given}).dashboard_url == "https://chords.example"


@pytest.mark.parametrize(
    "given", ["chords.example", "ftp://x", "http://", "http://a b", "http://x:y", "javascript:alert(1)"]
)
def test_what_is_no_web_address_is_refused(given: str) -> None:
    with pytest.raises(
        SettingError, match=r"chordwatch_dashboard_url must be an http:// or https:// address"
    ):
        read_settings({"chordwatch_dashboard_url": given})


@pytest.mark.parametrize("given", [True, 1234, ["open-sesame"], b"open-sesame"])
def test_a_password_is_a_text_and_is_not_shown_when_it_is_none(given: Any) -> None:
    with pytest.raises(SettingError) as refused:
        read_settings({"chordwatch_dashboard_password": given})

    assert str(refused.value) == "chordwatch_dashboard_password must be a text."


def test_a_password_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORDWATCH_DASHBOARD_PASSWORD", " pass word ")

    assert read_settings({}).dashboard_password == " pass word "


def test_the_address_of_a_trace_says_where_the_id_belongs() -> None:
    assert read_settings({}).trace_url == ""
    address = "http://jaeger.example:16686/trace/{trace_id}"
    assert read_settings({"chordwatch_trace_url": address}).trace_url == address
    grafana = "https://grafana.example/explore?left={trace_id}/"
    assert read_settings({"chordwatch_trace_url": grafana}).trace_url == grafana
    with pytest.raises(SettingError, match=r"chordwatch_trace_url must have \{trace_id\} where"):
        read_settings({"chordwatch_trace_url": "http://jaeger.example/trace/"})
    with pytest.raises(SettingError, match="must be an http:// or https:// address"):
        read_settings({"chordwatch_trace_url": "javascript:alert('{trace_id}')"})
