"""Observability for Celery chords. Importing this module imports no Celery and opens no connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery

    from chordwatch.recording.log_filter import ChordLogFilter
    from chordwatch.settings import Value
    from chordwatch.watch import Watch

__version__ = "0.1.0"
__all__ = ["ChordLogFilter", "__version__", "connect", "instrument", "uninstrument"]


def connect(app: Celery | str, *, ask_workers_every: float = 60.0) -> Watch:
    """Return a `Watch` on the installation of a Celery app, or of a Redis URL (broker and backend in one).

    Runs in any reading process. Close it when done; it is not thread-safe.
    One that is kept asks the workers what they do only every `ask_workers_every` seconds.

    Raises:
        UnsupportedError: the result backend cannot be loaded.
        SettingError: a `chordwatch_*` setting cannot be used.
    """
    from chordwatch.watch import Watch  # noqa: PLC0415  # keeps the import of chordwatch light for workers

    if isinstance(app, str):
        from celery import Celery  # noqa: PLC0415  # as above

        app = Celery("chordwatch", broker=app, backend=app, set_as_current=False)
    return Watch(app, ask_workers_every=ask_workers_every)


def instrument(app: Celery, **settings: Value | None) -> None:
    """Record the chords of this process; see `chordwatch.instrumentation.instrument`."""
    from chordwatch.instrumentation import instrument  # noqa: PLC0415  # as above

    instrument(app, **settings)


def uninstrument(app: Celery) -> None:
    """Undo `instrument`."""
    from chordwatch.instrumentation import uninstrument  # noqa: PLC0415  # as above

    uninstrument(app)


if not TYPE_CHECKING:  # type checkers know it from above, and shall miss everything else

    def __getattr__(name: str) -> Any:
        if name == "ChordLogFilter":
            from chordwatch.recording.log_filter import ChordLogFilter  # noqa: PLC0415  # as above

            return ChordLogFilter
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
