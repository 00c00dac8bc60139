"""Observability for Celery chords. Importing this module imports no Celery and opens no connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celery import Celery

    from chordwatch.watch import Watch

__version__ = "0.1.0"
__all__ = ["__version__", "connect"]


def connect(app: Celery | str) -> Watch:
    """Return a `Watch` on the installation of a Celery app, or of a Redis URL (broker and backend in one).

    Runs in any reading process. Close it when done; it is not thread-safe.

    Raises:
        UnsupportedError: the result backend is not Redis.
        SettingError: a `chordwatch_*` setting cannot be used.
    """
    from chordwatch.watch import Watch  # noqa: PLC0415  # keeps the import of chordwatch light for workers

    if isinstance(app, str):
        from celery import Celery  # noqa: PLC0415  # as above

        return Watch(Celery("chordwatch", broker=app, backend=app, set_as_current=False))
    return Watch(app)
