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
    store_url_of,
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


def test_an_argument_that_is_no_setting_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(
        SettingError, match=r"^There is no setting flush_intervall; did you mean flush_interval\.$"
    ):
        read_settings({}, flush_intervall=1)


@pytest.mark.parametrize(
    "value", ["amqp://u:pass@host//", "pass", "redis", "redis:pass", ":pass@host:6379", ["redis://:pass@h"]]
)
def test_a_store_url_that_is_not_redis_is_refused_without_showing_it(value: object) -> None:
    with pytest.raises(SettingError) as caught:
        read_settings({"chordwatch_store_url": value})

    assert str(caught.value).startswith("chordwatch_store_url must be a URL of Redis")
    assert "pass" not in str(caught.value)


def test_settings_do_not_show_the_password_in_a_traceback() -> None:
    assert "pass" not in repr(read_settings({}, store_url="redis://:pass@host/0"))


def store_of(
    broker: object = "memory://", backend: object = None, store_url: str = "", **conf: object
) -> tuple[str, dict[str, Any]]:
    app = Celery("project", set_as_current=False)
    app.conf.update(broker_url=broker, result_backend=backend, **conf)
    url, options = store_url_of(read_settings(app.conf, store_url=store_url), app.conf)
    return url, dict(options)


SENTINELS = "sentinel://:pw@one:26379;sentinel://:pw@two:26379/0"


@pytest.mark.parametrize(
    ("broker", "backend", "expected"),
    [
        ("redis://b/0", "redis://r/1", "redis://b/0"),
        ("rediss://b/0?ssl_cert_reqs=required", None, "rediss://b/0?ssl_cert_reqs=required"),
        ("redis://", None, "redis://"),
        (
            "redis+socket:///run/redis.sock?virtual_host=2",
            None,
            "redis+socket:///run/redis.sock?virtual_host=2",
        ),
        ("amqp://b", "redis://:p;w@r/1", "redis://:p;w@r/1"),
        ("amqp://b", "redis+socket:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("amqp://b", "proj.backends:Mine+redis://r/1", "redis://r/1"),
        (["redis://b/0", "redis://c/0"], None, "redis://b/0"),
        ("redis://b/0;redis://c/0", None, "redis://b/0"),
        (["amqp://b", "redis://c/0"], "redis://r/1", "redis://r/1"),
        (SENTINELS, "redis://r/1", SENTINELS),
        (SENTINELS.split(";"), None, SENTINELS),
        (None, SENTINELS, SENTINELS),
    ],
)
def test_the_store_is_the_broker_where_it_is_redis_else_the_result_backend(
    broker: object, backend: object, expected: str
) -> None:
    assert store_of(broker, backend)[0] == expected


@pytest.mark.parametrize("backend", [None, "rpc://", "db+sqlite:///x", object(), "redis"])
def test_without_a_redis_the_sentence_names_the_setting(backend: object) -> None:
    with pytest.raises(
        SettingError, match=r"^Neither the broker nor the result backend is Redis, .*chordwatch_store_url"
    ):
        store_of("amqp://user:pass@b//", backend)


def test_the_environment_of_celery_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://env/0")

    assert store_of("amqp://b")[0] == "redis://env/0"


def test_the_options_are_those_of_the_connection_that_was_chosen() -> None:
    conf = {
        "broker_transport_options": {"master_name": "main"},
        "broker_use_ssl": {"ssl_ca_certs": "/ca"},
        "result_backend_transport_options": {"global_keyprefix": "x"},
        "redis_backend_credential_provider": "proj.Provider",
    }

    assert store_of("redis://b", "redis://r", **conf)[1] == {
        "master_name": "main",
        "ssl": {"ssl_ca_certs": "/ca"},
    }
    assert store_of("amqp://b", "redis://r", **conf)[1] == {
        "global_keyprefix": "x",
        "credential_provider": "proj.Provider",
    }


def test_a_store_of_its_own_has_options_only_of_the_same_server() -> None:
    conf = {"broker_transport_options": {"socket_timeout": 1}}

    assert store_of("rediss://u:p@b:6380/0", store_url="rediss://v:q@b:6380/5", **conf) == (
        "rediss://v:q@b:6380/5",
        {"socket_timeout": 1},
    )
    assert store_of("rediss://b:6380/0", store_url="rediss://c:6380/0", **conf)[1] == {}
    assert store_of("rediss://b:6380/0", store_url="redis://b:6380/0", **conf)[1] == {}


def test_a_sentinel_of_its_own_may_name_the_service() -> None:
    assert store_of("amqp://b", store_url=f"{SENTINELS}?master_name=main") == (
        SENTINELS,
        {"master_name": "main"},
    )
    assert store_of("amqp://b", store_url=SENTINELS) == (SENTINELS, {})


def test_the_options_of_the_app_are_not_changed() -> None:
    app = Celery("project", broker="redis://b", set_as_current=False)
    app.conf.broker_transport_options = {"a": 1}
    app.conf.broker_use_ssl = True

    store_url_of(read_settings(app.conf), app.conf)

    assert app.conf.broker_transport_options == {"a": 1}


def test_reading_settings_finalizes_no_app_and_connects_to_nothing() -> None:
    app = Celery("project", broker="redis://127.0.0.1:1/0", set_as_current=False)

    store_url_of(read_settings(app.conf), app.conf)

    assert not app.finalized
    assert app._pool is None
    assert "amqp" not in vars(app)


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
    types = {"seconds": float, "whole number": int, "yes or no": bool, "name": str, "URL": str}
    for setting in SETTINGS:
        assert setting.help.endswith(".")
        assert setting.key == f"chordwatch_{setting.name}"
        assert setting.env == setting.key.upper()
        assert type(setting.default) is types[setting.kind]
        if type(setting.default) in {int, float}:
            assert 0 < setting.minimum <= setting.default <= setting.maximum


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_docs_have_the_row_of_every_setting(setting: Setting) -> None:
    default = (
        str(setting.default).lower()
        if setting.kind == "yes or no"
        else f"{setting.default:.12g}"
        if setting.kind in {"seconds", "whole number"}
        else setting.default
    )
    shown = default if not isinstance(setting.default, str) else f"`{default}`" if default else ""
    row = f"| `{setting.key}` | `{setting.env}` | {shown} | {setting.help} |".replace("|  |", "| |")

    assert row in (ROOT / "docs" / "settings.md").read_text().splitlines()


def test_the_docs_have_no_row_of_a_setting_that_is_gone() -> None:
    rows = (ROOT / "docs" / "settings.md").read_text().count("| `chordwatch_")

    assert rows == len(SETTINGS)


@pytest.mark.parametrize("url", ["redis://bob:S3cret/Pw@host:6379/0", "redis://bob:S3cret@host:notaport/0"])
def test_a_url_whose_port_cannot_be_read_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SettingError, match="percent-encoded") as refused:
        read_settings({"chordwatch_store_url": url})

    assert "S3cret" not in str(refused.value)
