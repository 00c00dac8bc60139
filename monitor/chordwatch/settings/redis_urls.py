"""Where the store is: URLs of Redis as kombu, Celery and redis-py write them. Opens no connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chordwatch.errors import SettingError
from chordwatch.settings.values import NEXT_URL, REDIS_SCHEMES, URL_HELP
from chordwatch.text import plain


def store_url_of(store_url: str, conf: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the URL of the store's Redis as kombu writes it, and the transport options that go with it.

    `store_url` is the setting, `conf` is `app.conf`. Without the first it is the broker where that is Redis, else the
    result backend.
    Only `sentinel://` has several servers, joined by semicolons; of other failover lists it is the first.
    Options are those of the broker or backend (`master_name`, `socket_timeout`, ...), and `ssl` (its `*_use_ssl`
    setting) and `credential_provider` (the backend's setting) where there are any; queries stay in the URL.
    A `store_url` of its own has the options of the broker or backend that is the same server, and none otherwise;
    for Sentinel it may name the service itself: `sentinel://one:26379;sentinel://two:26379/0?master_name=main`.

    Raises:
        SettingError: neither is Redis; the sentence names the setting.
    """
    candidates = [(_first_redis(url), options) for url, options in _connections_of(conf)]
    if store_url:
        url = _first_redis(store_url)
        options = next((o for known, o in candidates if _server(known) == _server(url)), {})
        return _with_master_name(url, options)
    for url, options in candidates:
        if url:
            return url, options
    raise SettingError(
        "Neither the broker nor the result backend is Redis, so chordwatch has no place for its records; "
        f"set chordwatch_store_url to {URL_HELP}."
    )


def shown_url(url: str) -> str:
    """Return a URL, or several joined by semicolons, fit to be shown: without user, password and query."""
    return plain(";".join(_shown(part) for part in NEXT_URL.split(url)), limit=300)


def _shown(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if "?" in rest.rpartition("@")[0]:
        return f"{scheme}://**"  # a question mark in the password, or an at sign in the query: nobody knows
    login, at, server = rest.rpartition("@")
    return f"{scheme}://{'**@' if login or at else ''}{server.partition('?')[0]}"


def _connections_of(conf: Any) -> tuple[tuple[object, dict[str, Any]], ...]:
    """Return URL and options of the broker and of the result backend; either URL may be None, a list, an object."""
    broker = dict(conf.get("broker_transport_options") or {})
    backend = dict(conf.get("result_backend_transport_options") or {})
    for options, name, value in (
        (broker, "ssl", conf.get("broker_use_ssl")),
        (backend, "ssl", conf.get("redis_backend_use_ssl")),
        (backend, "credential_provider", conf.get("redis_backend_credential_provider")),
    ):
        if value:
            options[name] = value
    return (conf.broker_write_url, broker), (conf.result_backend, backend)


def _first_redis(url: object) -> str:
    """Return the Redis URL that a failover list starts with, all of a Sentinel's, or nothing."""
    parts = [url] if isinstance(url, str) else url if isinstance(url, list | tuple) else []
    urls = [one for part in parts if isinstance(part, str) for one in NEXT_URL.split(part)]
    first = _without_class(urls[0]) if urls else ""
    scheme, mark, _ = first.partition("://")
    if mark and scheme == "sentinel":
        return ";".join(one for one in urls if one.startswith("sentinel://"))
    return first if mark and scheme in REDIS_SCHEMES else ""


def _without_class(url: str) -> str:
    """Return the URL that Celery gives to a backend class named in front of it, as in `mine:Backend+redis://`."""
    name, mark, rest = url.partition("://")
    scheme = name.rpartition("+")[2]
    return f"redis+socket://{rest}" if mark and scheme == "socket" else f"{scheme}{mark}{rest}"


def _server(url: str) -> tuple[str, str]:
    """Return scheme and first server, without login and database; for a socket its path."""
    scheme, _, rest = NEXT_URL.split(url)[0].partition("://")
    place = rest.rpartition("@")[2].partition("?")[0]
    return scheme, place if scheme in {"unix", "redis+socket"} else place.partition("/")[0]


def _with_master_name(url: str, options: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if not url.startswith("sentinel://"):
        return url, options
    bare, _, query = url.rpartition("?master_name=")
    return (bare, {**options, "master_name": query}) if bare else (url, options)
