"""The settings: one table that the code, `chords config` and the docs read.

Precedence: argument, environment (`CHORDWATCH_*`), Celery configuration (`chordwatch_*`), default.
Reading them opens no connection, and touches no more of a Celery app than `app.conf`.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from chordwatch.errors import SettingError
from chordwatch.text import plain

Origin = Literal["argument", "environment", "celery configuration", "default"]
Kind = Literal["seconds", "whole number", "yes or no", "name", "URL"]
Value = float | str | bool

_DAY = 86400.0
_TEN_YEARS = 3650 * _DAY
_YES = frozenset({"true", "1", "yes", "on"})
_NO = frozenset({"false", "0", "no", "off"})
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch

#: How kombu, Celery and redis-py write the URL of a Redis.
REDIS_SCHEMES = ("redis", "rediss", "sentinel", "redis+socket", "unix")
_URL_HELP = "a URL of Redis (redis://, rediss://, sentinel://, redis+socket:// or unix://)"
#: kombu writes several servers in one text; a password may hold a semicolon too.
_NEXT_URL = re.compile(r";(?=[a-z+]+://)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting; numbers are from `minimum` to `maximum`, both in the unit of its `kind`."""

    name: str
    kind: Kind
    default: Value
    help: str
    minimum: float = 0
    maximum: float = _TEN_YEARS

    @property
    def env(self) -> str:
        """The environment variable."""
        return f"CHORDWATCH_{self.name.upper()}"

    @property
    def key(self) -> str:
        """The key in Celery's configuration."""
        return f"chordwatch_{self.name}"


SETTINGS = (
    Setting(
        name="store_url",
        kind="URL",
        default="",
        help="Redis that keeps the records. Default: the broker when it is Redis, else the result backend.",
    ),
    Setting(
        name="namespace",
        kind="name",
        default="default",
        help="Name of the installation; keeps apart those that share a store, stands in every chord's JSON.",
    ),
    Setting(
        name="enabled",
        kind="yes or no",
        default=True,
        help="Whether this process records; false makes `instrument` do nothing.",
    ),
    Setting(
        name="flush_interval",
        kind="seconds",
        default=0.05,
        minimum=0.005,
        maximum=60,
        help="Seconds that a record waits for others, so that they are sent together.",
    ),
    Setting(
        name="buffer_size",
        kind="whole number",
        default=100_000,
        minimum=100,
        maximum=10_000_000,
        help="Records that a process keeps while the store does not answer; beyond it they are lost, and counted.",
    ),
    Setting(
        name="heartbeat_interval",
        kind="seconds",
        default=2.0,
        minimum=0.1,
        maximum=60,
        help="Seconds between two heartbeats of a worker.",
    ),
    Setting(
        name="finished_retention",
        kind="seconds",
        default=_DAY,
        minimum=1,
        help="Seconds that a finished chord is kept.",
    ),
    Setting(
        name="open_retention",
        kind="seconds",
        default=7 * _DAY,
        minimum=1,
        help="Seconds that an open chord is kept after its last record, or after its latest ETA.",
    ),
    Setting(
        name="store_max_mb",
        kind="whole number",
        default=64,
        minimum=1,
        maximum=1_000_000,
        help="Megabytes that the records may take; beyond it the detail of the oldest finished chords goes first.",
    ),
    Setting(
        name="record_errors",
        kind="yes or no",
        default=True,
        help="Whether the type and the first 200 characters of a task's error are kept.",
    ),
    Setting(
        name="keep_callbacks",
        kind="yes or no",
        default=True,
        help="Whether the callback's signature is kept while its chord is open; abort and release need it.",
    ),
    Setting(
        name="look_seconds",
        kind="seconds",
        default=3.0,
        minimum=0.1,
        help="Seconds that one look at broker and backend may take; what was not seen by then is said.",
    ),
    Setting(
        name="monitor_interval",
        kind="seconds",
        default=5.0,
        minimum=0.5,
        help="Seconds between two looks of the monitor.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Effective values, as `SETTINGS` describes them. `origins` tells for each name where its value comes from."""

    store_url: str = field(repr=False)  # may hold a password
    namespace: str
    enabled: bool
    flush_interval: float
    buffer_size: int
    heartbeat_interval: float
    finished_retention: float
    open_retention: float
    store_max_mb: int
    record_errors: bool
    keep_callbacks: bool
    look_seconds: float
    monitor_interval: float
    origins: Mapping[str, Origin]


def read_settings(conf: Mapping[str, Any], **arguments: Value | None) -> Settings:
    """Return the settings effective for Celery configuration `conf`; arguments that are None do not count.

    Raises:
        SettingError: an argument that is no setting, or a value that cannot be used and where it comes from.
    """
    _refuse_unknown(arguments)
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for setting in SETTINGS:
        candidates: tuple[tuple[Origin, object], ...] = (
            ("argument", arguments.get(setting.name)),
            ("environment", os.environ.get(setting.env)),
            ("celery configuration", conf.get(setting.key)),
            ("default", setting.default),
        )
        origin, value = next((o, v) for o, v in candidates if v is not None)
        values[setting.name], origins[setting.name] = _checked(setting, value, origin), origin
    return Settings(**values, origins=origins)


def store_url_of(settings: Settings, conf: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the URL of the store's Redis as kombu writes it, and the transport options that go with it.

    `conf` is `app.conf`. Without `store_url` it is the broker where that is Redis, else the result backend.
    Only `sentinel://` has several servers, joined by semicolons; of other failover lists it is the first.
    Options are those of the broker or backend (`master_name`, `socket_timeout`, ...), and `ssl` (its `*_use_ssl`
    setting) and `credential_provider` (the backend's setting) where there are any; queries stay in the URL.
    A `store_url` of its own has the options of the broker or backend that is the same server, and none otherwise;
    for Sentinel it may name the service itself: `sentinel://one:26379;sentinel://two:26379/0?master_name=main`.

    Raises:
        SettingError: neither is Redis; the sentence names the setting.
    """
    candidates = [(_first_redis(url), options) for url, options in _connections_of(conf)]
    if settings.store_url:
        url = _first_redis(settings.store_url)
        options = next((o for known, o in candidates if _server(known) == _server(url)), {})
        return _with_master_name(url, options)
    for url, options in candidates:
        if url:
            return url, options
    raise SettingError(
        "Neither the broker nor the result backend is Redis, so chordwatch has no place for its records; "
        f"set chordwatch_store_url to {_URL_HELP}."
    )


def shown_url(url: str) -> str:
    """Return a URL, or several joined by semicolons, fit to be shown: without user, password and query."""
    return plain(";".join(_shown(part) for part in _NEXT_URL.split(url)), limit=300)


def _shown(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if "?" in rest.rpartition("@")[0]:
        return f"{scheme}://**"  # a question mark in the password, or an at sign in the query: nobody knows
    login, at, server = rest.rpartition("@")
    return f"{scheme}://{'**@' if login or at else ''}{server.partition('?')[0]}"


def _refuse_unknown(arguments: Mapping[str, object]) -> None:
    names = [setting.name for setting in SETTINGS]
    for name in arguments:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]}" if close else f"there are {', '.join(names)}"
            raise SettingError(f"There is no setting {plain(name)}; {hint}.")


def _checked(setting: Setting, value: object, origin: Origin) -> Value:
    where = setting.env if origin == "environment" else setting.key
    if setting.kind == "URL":
        return _url(where, value)
    if setting.kind == "name":
        if not _NAME(str(value)):
            wanted = "1 to 64 letters, digits, dots, hyphens or underscores"
            raise SettingError(f"{where} is {plain(repr(value))}, but must be {wanted}.")
        return str(value)
    if setting.kind == "yes or no":
        return _truth(where, value)
    return _number(where, setting, value)


def _url(where: str, value: object) -> str:
    # What is not a URL may still be a password, so nothing of it is shown.
    text = str(value)
    scheme, mark, _ = text.partition("://")
    if text and not (mark and scheme in REDIS_SCHEMES):
        raise SettingError(f"{where} must be {_URL_HELP}.")
    if not all(map(_has_usable_port, _NEXT_URL.split(text))):
        raise SettingError(
            f"{where} has no port where one should be; a password must have / @ : and # percent-encoded."
        )
    return text


def _has_usable_port(url: str) -> bool:
    try:
        urlsplit(url).port  # noqa: B018  # reading it checks it
    except ValueError:
        return False
    return True


def _truth(where: str, value: object) -> bool:
    text = str(value).strip().lower()
    if text not in _YES | _NO:
        raise SettingError(f"{where} is {plain(repr(value))}, but must be true or false.")
    return text in _YES


def _number(where: str, setting: Setting, value: object) -> float:
    unit = "a number of seconds" if setting.kind == "seconds" else "a whole number"
    problem = f"{where} is {plain(repr(value))}, but must be"
    try:
        number = float(str(value))
    except ValueError:
        raise SettingError(f"{problem} {unit}.") from None
    if math.isnan(number) or (setting.kind != "seconds" and not number.is_integer()):
        raise SettingError(f"{problem} {unit}.")
    seconds = " seconds" if setting.kind == "seconds" else ""
    if number < setting.minimum:
        raise SettingError(f"{problem} at least {setting.minimum:g}{seconds}.")
    if number > setting.maximum:
        raise SettingError(f"{problem} at most {setting.maximum:.12g}{seconds}.")
    return number if setting.kind == "seconds" else int(number)


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
    urls = [one for part in parts if isinstance(part, str) for one in _NEXT_URL.split(part)]
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
    scheme, _, rest = _NEXT_URL.split(url)[0].partition("://")
    place = rest.rpartition("@")[2].partition("?")[0]
    return scheme, place if scheme in {"unix", "redis+socket"} else place.partition("/")[0]


def _with_master_name(url: str, options: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if not url.startswith("sentinel://"):
        return url, options
    bare, _, query = url.rpartition("?master_name=")
    return (bare, {**options, "master_name": query}) if bare else (url, options)
