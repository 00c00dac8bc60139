"""Which Redis is the store, and how it is connected to."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from chordwatch.errors import SettingError
from chordwatch.settings import (
    read_settings,
    store_url_of,
)


@pytest.mark.parametrize(
    "value", ["amqp://u:pass@host//", "pass", "redis", "redis:pass", ":pass@host:6379", ["redis://:pass@h"]]
)
def test_a_store_url_that_is_not_redis_is_refused_without_showing_it(value: object) -> None:
    with pytest.raises(SettingError) as caught:
        read_settings({"chordwatch_store_url": value})

    assert str(caught.value).startswith("chordwatch_store_url must be a URL of Redis")
    assert "pass" not in str(caught.value)


def store_of(
    broker: object = "memory://", backend: object = None, store_url: str = "", **conf: object
) -> tuple[str, dict[str, Any]]:
    app = Celery("project", set_as_current=False)
    app.conf.update(broker_url=broker, result_backend=backend, **conf)
    url, options = store_url_of(store_url, app.conf)
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

    store_url_of("", app.conf)

    assert app.conf.broker_transport_options == {"a": 1}


def test_reading_settings_finalizes_no_app_and_connects_to_nothing() -> None:
    app = Celery("project", broker="redis://127.0.0.1:1/0", set_as_current=False)

    store_url_of("", app.conf)

    assert not app.finalized
    assert app._pool is None
    assert "amqp" not in vars(app)


@pytest.mark.parametrize(
    "url",
    [
        "redis://bob:S3cret/Pw@host:6379/0",
        "redis://bob:S3cret@host:notaport/0",
        "redis://bob:99999/S3cret@host:6379/0",
        "redis://bob:99999/S3cret@host",
    ],
)
def test_a_url_whose_port_cannot_be_read_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SettingError, match="percent-encoded") as refused:
        read_settings({"chordwatch_store_url": url})

    assert "S3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:99999/0",
        "redis://bob:S3cret@host:65536",
        "rediss://[::1]:70000/0",
        "sentinel://one:26379;sentinel://bob:S3cret@two:99999/0?master_name=main",
    ],
)
def test_a_port_that_is_no_port_is_told_as_that(url: str) -> None:
    with pytest.raises(SettingError) as refused:
        read_settings({"chordwatch_store_url": url})

    assert str(refused.value) == (
        "chordwatch_store_url has a port that is out of range; it must be at most 65535."
    )
