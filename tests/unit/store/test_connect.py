"""Kombu's URLs become redis-py's clients; none of them connects before the first command."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from chordwatch.errors import UnreachableError
from chordwatch.store.connect import connect, reaching


def settings_of(url: str, **options: Any) -> dict[str, Any]:
    """Return what a client would connect with."""
    client = connect(url, client_name="chordwatch:test", options=options)
    return dict(client.connection_pool.connection_kwargs)


def test_a_plain_url_is_named_and_gives_up_soon() -> None:
    settings = settings_of("redis://user:secret@there:7000/3")
    assert (settings["host"], settings["port"], settings["db"]) == ("there", 7000, 3)
    assert (settings["username"], settings["password"]) == ("user", "secret")
    assert settings["client_name"] == "chordwatch:test"
    assert 0 < settings["socket_timeout"] <= 10
    assert settings["retry"].get_retries() == 0


@pytest.mark.parametrize("scheme", ["redis+socket", "socket", "unix"])
def test_a_unix_socket(scheme: str) -> None:
    query = "db" if scheme == "unix" else "virtual_host"
    settings = settings_of(f"{scheme}:///run/redis.sock?{query}=2")
    assert (settings["path"], settings["db"]) == ("/run/redis.sock", 2)


def test_tls_as_kombu_writes_it() -> None:
    client = connect("rediss://there/0?ssl_cert_reqs=CERT_NONE", client_name="x")
    assert client.connection_pool.connection_class is redis.SSLConnection
    assert client.connection_pool.connection_kwargs["ssl_cert_reqs"] == "none"


@pytest.mark.parametrize("ssl", [True, {"ssl_cert_reqs": "none"}])
def test_tls_as_celery_sets_it(ssl: object) -> None:
    client = connect("redis://there/0", client_name="x", options={"ssl": ssl})
    assert client.connection_pool.connection_class is redis.SSLConnection
    client.connection_pool.make_connection()


def test_sentinel_with_its_masters_name() -> None:
    client = connect(
        "sentinel://:secret@one:26379/1;sentinel://two:26380",
        client_name="chordwatch:test",
        options={"master_name": "main", "sentinel_kwargs": {"password": "other"}},
    )
    pool: Any = client.connection_pool
    assert pool.service_name == "main"
    nodes = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    assert [(node["host"], node["port"]) for node in nodes] == [("one", 26379), ("two", 26380)]
    assert {node["password"] for node in nodes} == {"other"}
    assert (pool.connection_kwargs["password"], pool.connection_kwargs["db"]) == ("secret", 1)
    assert pool.connection_kwargs["client_name"] == "chordwatch:test"


def test_sentinel_with_tls() -> None:
    client = connect("sentinel://one:26379", client_name="x", options={"master_name": "main", "ssl": True})
    pool: Any = client.connection_pool
    pool.make_connection()
    assert issubclass(pool.connection_class, redis.SSLConnection)


def test_a_credential_provider_is_handed_on() -> None:
    provider = redis.UsernamePasswordCredentialProvider("user", "secret")
    assert settings_of("redis://there", credential_provider=provider)["credential_provider"] is provider


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (redis.exceptions.AuthenticationError("x"), "refuses the login"),
        (redis.exceptions.NoPermissionError("no"), "refuses a command that it needs: no"),
        (redis.exceptions.TimeoutError("x"), "does not answer"),
        (OSError("x"), "does not answer"),
        (redis.exceptions.ResponseError("OOM command not allowed, user_script:7"), "refuses a command"),
    ],
)
def test_what_a_server_says_becomes_one_sentence(error: Exception, sentence: str) -> None:
    with pytest.raises(UnreachableError, match=sentence) as raised, reaching("redis://there/0"):
        raise error

    assert raised.value.server == "store"


def test_a_fault_of_the_script_is_the_batchs_fault() -> None:
    with pytest.raises(ValueError, match="script"), reaching("redis://there/0"):
        raise redis.exceptions.ResponseError("user_script:7: attempt to index a nil value")
