"""The settings: one table that the code, `chords config` and the docs read.

Precedence: argument, environment (`CHORDWATCH_*`), Celery configuration (`chordwatch_*`), default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from chordwatch.errors import SettingError
from chordwatch.text import plain

Origin = Literal["argument", "environment", "celery configuration", "default"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting; its `default`'s type is the value's, numbers are seconds and above `minimum`."""

    name: str
    default: float | str
    help: str
    minimum: float | None = None

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
        name="namespace",
        default="default",
        help="Name of the installation; stands in every chord's JSON.",
    ),
    Setting(
        name="look_seconds",
        default=3.0,
        minimum=0.1,
        help="Seconds that one look at broker and backend may take; what was not seen by then is said.",
    ),
    Setting(
        name="monitor_interval",
        default=5.0,
        minimum=0.5,
        help="Seconds between two looks of the monitor.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Effective values. `origins` tells for each name where its value comes from."""

    namespace: str
    look_seconds: float
    monitor_interval: float
    origins: Mapping[str, Origin]


def read_settings(conf: Mapping[str, Any], **arguments: float | str | None) -> Settings:
    """Return the settings effective for Celery configuration `conf`; arguments that are None do not count.

    Raises:
        SettingError: a value that cannot be used, with the place it comes from.
    """
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


def _checked(setting: Setting, value: object, origin: Origin) -> float | str:
    where = setting.env if origin == "environment" else setting.key
    if isinstance(setting.default, str):
        return str(value)
    try:
        number = float(str(value))
    except ValueError:
        raise SettingError(f"{where} is {plain(repr(value))}, but must be a number of seconds.") from None
    if not (setting.minimum or 0) <= number < float("inf"):
        raise SettingError(
            f"{where} is {plain(repr(value))}, but must be at least {setting.minimum:g} seconds."
        )
    return number
