"""Switches the recording of a process on and off: signal handlers, the two patches, heartbeat, and the store they use.

Runs in whichever process imports the Celery app: producers, a worker's main process, and through it the pool's
children. Nothing here opens a connection or starts a thread; the recorder does when there is something to send.
"""

from __future__ import annotations

import atexit
import logging
import socket
from typing import TYPE_CHECKING, Any

from celery import Celery, signals

from chordwatch.recording.canvas import Dispatches, UnderWay
from chordwatch.recording.heartbeat import Heartbeats
from chordwatch.recording.recorder import INLINE_SECONDS, Recorder
from chordwatch.recording.signals import Handlers
from chordwatch.settings import Settings, Value, read_settings, store_url_of
from chordwatch.store import open_store
from chordwatch.store.connect import TIMEOUT_SECONDS
from chordwatch.store.connections import connection_name
from chordwatch.store.protocol import Store
from chordwatch.tracing.names import system_of
from chordwatch.tracing.switch import is_wanted

if TYPE_CHECKING:
    from chordwatch.tracing.tracing import Tracing

logger = logging.getLogger("chordwatch")


class Instrumentation:
    """What is switched on in this process. Celery's signals know no app, so one serves all apps of a process."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self.recorder = Recorder(
            self._open,
            node=socket.gethostname(),
            flush_interval=settings.flush_interval,
            buffer_size=settings.buffer_size,
            keep_callbacks=settings.keep_callbacks,
        )
        self._tracing = _tracing(app, settings, self.recorder)
        under_way, errors = UnderWay(), settings.record_errors
        self._handlers = Handlers(self.recorder, under_way, record_errors=errors, tracing=self._tracing)
        self._dispatches = Dispatches(self.recorder, under_way, record_errors=errors, tracing=self._tracing)
        self._heartbeats = Heartbeats(
            self._open_for_heartbeat, boot=lambda: self.recorder.boot, interval=settings.heartbeat_interval
        )

    def start(self) -> None:
        """Connect the handlers and patches."""
        self._handlers.connect()
        if self._tracing is not None:
            self._tracing.listen(self._handlers.hear_publishing)
        self._dispatches.watch()
        for signal, handler in self._lifecycle():
            signal.connect(handler, weak=False, dispatch_uid=f"chordwatch.process.{signal.name}")
        atexit.register(self._close)

    def stop(self) -> None:
        """Undo `start`, and send what is left."""
        for signal, _ in self._lifecycle():
            signal.disconnect(dispatch_uid=f"chordwatch.process.{signal.name}")
        self._dispatches.leave()
        self._handlers.disconnect()
        self._heartbeats.stop()
        self._close()
        atexit.unregister(self._close)

    def _lifecycle(self) -> tuple[tuple[Any, Any], ...]:
        return (
            (signals.worker_init, self._on_worker),
            (signals.worker_ready, self._on_ready),
            (signals.worker_shutdown, self._on_shutdown),
            (signals.worker_process_shutdown, self._on_shutdown),
        )

    def _on_worker(self, *, sender: Any, **_: Any) -> None:
        self.recorder.node = str(sender.hostname)

    def _on_ready(self, *, sender: Any, **_: Any) -> None:
        self._heartbeats.start(sender)

    def _on_shutdown(self, **_: Any) -> None:
        self._heartbeats.stop()
        self._close()

    def _close(self) -> None:
        """Send what is left, and export it."""
        self.recorder.close()
        if self._tracing is not None:
            self._tracing.flush()

    def _open(self, boot: str) -> Store:
        timeout = INLINE_SECONDS if self.recorder.inline else TIMEOUT_SECONDS
        name = connection_name(self.recorder.node, boot)
        return open_store(self._settings, self._app, client_name=name, timeout=timeout)

    def _open_for_heartbeat(self) -> Store:
        """Return the heartbeat's own store; say once in a worker's log when its Redis may drop what is recorded."""
        store = self._open(self.recorder.boot)
        if store.state().evicts:
            logger.error(
                "chordwatch: the store's Redis evicts keys when it is full, so records can vanish; "
                "set its maxmemory-policy to noeviction, or name another Redis in chordwatch_store_url."
            )
        return store


def _tracing(app: Celery, settings: Settings, recorder: Recorder) -> Tracing | None:
    """Return what traces in this process, None where there is nothing to trace with: then nothing is imported."""
    if not is_wanted(settings.tracing):
        return None
    from chordwatch.tracing.providers import Providers  # noqa: PLC0415  # OpenTelemetry only where it is wanted
    from chordwatch.tracing.tracing import Tracing  # noqa: PLC0415  # as above

    return Tracing(
        recorder,
        Providers(always=settings.tracing == "on"),
        system=system_of(app.conf.broker_write_url or app.conf.broker_url),
        limit=settings.trace_header_limit,
        record_errors=settings.record_errors,
        keep=settings.finished_retention,
    )


_active: Instrumentation | None = None
_apps: set[int] = set()


def instrument(app: Celery, **settings: Value | None) -> None:
    """Record the chords of this process from now on; calling it again changes nothing.

    Call it once where the app is made, after it was configured, in workers and in producers.
    `settings` are those of `chordwatch.settings`, by name; they go before environment and Celery configuration.

    Raises:
        SettingError: a setting cannot be used, or no Redis is known that could be the store.
    """
    global _active  # noqa: PLW0603  # Celery's signals are global to the process, and so is what hears them
    if id(app) in _apps:
        return
    effective = read_settings(app.conf, **settings)
    if not effective.enabled:
        return
    store_url_of(effective.store_url, app.conf)
    _apps.add(id(app))
    if _active is None:
        _active = Instrumentation(app, effective)
        _active.start()


def uninstrument(app: Celery) -> None:
    """Undo `instrument`: when the last app of the process is left, nothing of chordwatch remains connected."""
    global _active  # noqa: PLW0603  # as above
    _apps.discard(id(app))
    if not _apps and _active is not None:
        _active.stop()
        _active = None
