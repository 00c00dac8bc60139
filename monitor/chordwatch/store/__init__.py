"""Where records become chords: one Redis script applies a batch and keeps indexes and counters in the same call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celery import Celery

    from chordwatch.settings import Settings
    from chordwatch.store.protocol import Store


def open_store(settings: Settings, app: Celery, *, client_name: str, timeout: float = 5.0) -> Store:
    """Return the store that the settings name for `app`; it connects when it is first used.

    `client_name` is what `CLIENT LIST` of its Redis shows; `timeout` in seconds is for each command.

    Raises:
        SettingError: neither broker nor result backend is Redis, and no other Redis is named.
    """
    from chordwatch.store.redis_store import RedisStore  # noqa: PLC0415  # redis only where there is a store

    return RedisStore.for_app(settings, app, client_name=client_name, timeout=timeout)
