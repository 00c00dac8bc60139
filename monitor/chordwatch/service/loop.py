"""Looks at the installation at an interval and keeps the last look. Runs in a thread of the monitor."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace

from celery import Celery

from chordwatch.errors import ChordwatchError
from chordwatch.settings import Settings
from chordwatch.watch import Look, Sighting, Watch
from chordwatch.watch.recorded import Totals

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """The monitor's last look, how long it took in seconds, and what went wrong when none could be taken.

    `totals` are what the store told at that time, whether or not the look succeeded.
    """

    look: Look | None = None
    seconds: float = 0.0
    error: str | None = None
    totals: Totals | None = None


class Loop:
    """Takes looks until stopped. `glance` may be read from any thread; `sight` looks for one chord at once."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._watch: Watch | None = None
        self._lock = threading.Lock()  # a Watch serves one look at a time
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chordwatch-monitor", daemon=True)
        self.glance = Glance()

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End after the look that is under way."""
        self._stopping.set()
        self._thread.join(timeout=self._settings.look_seconds + 5)
        if self._watch:
            self._watch.close()

    def sight(self, wanted: str) -> Sighting | None:
        """Return one chord with all that can be learned of it.

        Raises:
            UnreachableError: broker or result backend does not answer.
        """
        with self._lock:
            return self._opened().sight(wanted)[0]

    def _run(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            self._take(started)
            spent = time.monotonic() - started
            self._stopping.wait(max(0.1, self._settings.monitor_interval - spent))

    def _take(self, started: float) -> None:
        try:
            with self._lock:
                self.glance = replace(self.glance, totals=self._opened().totals())
                look = self._opened().look(health="all", limit=None)
        except ChordwatchError as exc:
            self._failed(str(exc))
        except Exception as exc:
            # The monitor outlives what nobody foresaw; it says so and goes on.
            logger.exception("A look failed.")
            self._failed(f"A look failed with {type(exc).__name__}; the monitor's log has more.")
        else:
            if self.glance.error:
                logger.info("Looking again.")
            seconds = time.monotonic() - started
            self.glance = Glance(look=look, seconds=seconds, totals=self.glance.totals)

    def _opened(self) -> Watch:
        self._watch = self._watch or Watch(self._app, self._settings)
        return self._watch

    def _failed(self, error: str) -> None:
        if error != self.glance.error:
            logger.error("%s", error)
        self.glance = replace(self.glance, error=error)
        # The next look opens its connections anew.
        if self._watch:
            self._watch.close()
