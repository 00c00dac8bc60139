"""Looks at the installation at an interval and keeps the last look. Runs in a thread of the monitor."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from celery import Celery

from chordwatch.board.report import report_of
from chordwatch.errors import ChordwatchError, ServerName, UnreachableError
from chordwatch.service.changes import Change
from chordwatch.service.judge import Judge
from chordwatch.service.logs import log_change
from chordwatch.service.poster import Poster
from chordwatch.service.spans import LostSpans
from chordwatch.service.webhook import Webhook
from chordwatch.settings import Settings
from chordwatch.store import open_store
from chordwatch.store.protocol import Store
from chordwatch.tracing.providers import Providers
from chordwatch.tracing.switch import is_wanted
from chordwatch.watch import Look, Sighting, Watch
from chordwatch.watch.absences import SOON
from chordwatch.watch.recorded import Totals

logger = logging.getLogger(__name__)

#: Seconds. A store that is silent for longer is done without.
_STORE_ANSWERS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """The monitor's last look, how long it took in seconds, and what went wrong when none could be taken.

    `unreachable` is the server that did not answer then, where it was that.
    `totals` are what the store told at that time, whether or not the look succeeded.
    """

    look: Look | None = None
    seconds: float = 0.0
    error: str | None = None
    unreachable: ServerName | None = None
    totals: Totals | None = None


class Loop:
    """Takes looks until stopped. `glance` may be read from any thread; `sight` looks for one chord at once."""

    def __init__(
        self,
        app: Celery,
        settings: Settings,
        *,
        judge: Judge | None = None,
        poster: Poster | None = None,
        spans: LostSpans | None = None,
        webhook: Webhook | None = None,
        errors: Counter[str] | None = None,
    ) -> None:
        """`poster`, `judge` and `spans` are given each look; at the end they and `webhook` are closed.

        `errors` counts by place what should not happen.
        """
        self._app = app
        self._settings = settings
        self._judge = judge
        self._poster = poster
        self._spans = spans
        self._webhook = webhook
        self.errors = Counter[str]() if errors is None else errors
        self.errors.update({"look": 0, "judge": 0, "post": 0, **({"spans": 0} if spans else {})})
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
        for part in (self._watch, self._judge, self._poster, self._spans, self._webhook):
            if part:
                part.close()

    def sight(self, wanted: str) -> Sighting | None:
        """Return one chord with all that can be learned of it.

        Raises:
            UnreachableError: broker or result backend does not answer.
        """
        with self._lock:
            return self._opened().sight(wanted)[0]

    def explain(self, wanted: str) -> Sighting | None:
        """Return one chord with a fresh diagnosis, for which it is looked at twice or three times.

        Raises:
            UnreachableError: broker or result backend does not answer.
        """
        with self._lock:
            return self._opened().explained(wanted)[0]

    def report(self, wanted: str) -> str | None:
        """Return the report on one chord as Markdown.

        Raises:
            UnreachableError: broker or result backend does not answer.
        """
        with self._lock:
            sighting, gaps = self._opened().sight(wanted)
        return report_of(sighting, gaps, self._app) if sighting else None

    def _run(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            self._take(started)
            spent = time.monotonic() - started
            pause = self._settings.monitor_interval
            if self._watch and self._watch.undecided:
                pause = min(pause, SOON)
            self._stopping.wait(max(0.1, pause - spent))

    def _take(self, started: float) -> None:
        try:
            with self._lock:
                self.glance = replace(self.glance, totals=self._opened().totals())
                look = self._opened().look(health="all", limit=None)
        except ChordwatchError as exc:
            self._failed(str(exc), exc.server if isinstance(exc, UnreachableError) else None)
        except Exception as exc:
            # The monitor outlives what nobody foresaw; it says so and goes on.
            logger.exception("A look failed.")
            self.errors["look"] += 1
            self._failed(f"A look failed with {type(exc).__name__}; the monitor's log has more.")
        else:
            if self.glance.error:
                logger.info("Looking again.")
            seconds = time.monotonic() - started
            self.glance = Glance(look=look, seconds=seconds, totals=self.glance.totals)
            if self._poster:
                self._handed("post", partial(self._poster.post, totals=self.glance.totals), look)
            if self._judge:
                self._handed("judge", self._judge.judge, look)
            if self._spans:
                self._handed("spans", self._spans.write, look)

    def _handed(self, where: str, take: Callable[[Look], None], look: Look) -> None:
        try:
            take(look)
        except Exception:
            logger.exception("What a look found could not be handed on (%s).", where)
            self.errors[where] += 1

    def _opened(self) -> Watch:
        self._watch = self._watch or Watch(self._app, self._settings)
        return self._watch

    def _failed(self, error: str, unreachable: ServerName | None = None) -> None:
        if error != self.glance.error:
            logger.error("%s", error)
        self.glance = replace(self.glance, error=error, unreachable=unreachable)
        # The next look opens its connections anew.
        if self._watch:
            self._watch.close()


def make_loop(app: Celery, settings: Settings, *, webhook: str | None = None) -> Loop:
    """Return a loop that judges what it sees; changes go to the log, and to the URL `webhook` if there is one.

    Raises:
        SettingError: the URL cannot be used, or tracing is on and there is no SDK.
    """
    errors = Counter[str]()
    traced = is_wanted(settings.tracing)
    posting = Webhook(webhook, errors, dashboard_url=settings.dashboard_url) if webhook else None

    def open_own() -> Store:
        return open_store(settings, app, client_name="chordwatch:monitor", timeout=_STORE_ANSWERS)

    def tell(change: Change) -> None:
        log_change(change)
        if posting:
            posting.send(change)

    judge = Judge(open_own, keep=settings.verdict_retention, tell=tell, errors=errors)
    poster = Poster(open_own, settings)
    spans = None
    if traced:
        providers = Providers(always=settings.tracing == "on")
        spans = LostSpans(open_own, providers, keep=settings.open_retention + settings.finished_retention)
    return Loop(app, settings, judge=judge, poster=poster, spans=spans, webhook=posting, errors=errors)
