"""The settings: one table that the code, `chords config` and the docs read.

Precedence: argument, environment (`CHORDWATCH_*`), Celery configuration (`chordwatch_*`), default.
Reading them opens no connection, and touches no more of a Celery app than `app.conf`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chordwatch.errors import SettingError
from chordwatch.settings.redis_urls import shown_url, store_url_of
from chordwatch.settings.table import DURATION_BUCKETS, SETTINGS, Origin, Setting, Value
from chordwatch.settings.values import checked
from chordwatch.text import plain

__all__ = [
    "DURATION_BUCKETS",
    "SETTINGS",
    "Setting",
    "Settings",
    "Value",
    "read_settings",
    "shown_url",
    "store_url_of",
]


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
    verdict_retention: float
    store_max_mb: int
    record_errors: bool
    keep_callbacks: bool
    look_seconds: float
    overdue_floor: float
    monitor_interval: float
    log_format: str
    duration_buckets: tuple[float, ...]
    collect: str
    dashboard_url: str
    flower_url: str
    grafana_url: str
    dashboard_password: str = field(repr=False)
    tracing: str
    trace_header_limit: int
    trace_url: str
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
        values[setting.name], origins[setting.name] = checked(setting, value, setting.where(origin)), origin
    return Settings(**values, origins=origins)


def _refuse_unknown(arguments: Mapping[str, object]) -> None:
    names = [setting.name for setting in SETTINGS]
    for name in arguments:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]}" if close else f"there are {', '.join(names)}"
            raise SettingError(f"There is no setting {plain(name)}; {hint}.")
