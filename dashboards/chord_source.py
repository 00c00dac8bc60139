# ruff: noqa: INP001  # Streamlit puts this folder on sys.path, so these are modules and not a package
"""Where the dashboard's data comes from: the app to watch, and one look that all viewers share.

Runs in Streamlit's process, in the threads of its viewers and in one of its own while a look is taken.
Does not import Streamlit. Tests replace `open_watch`, nothing else.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from celery import Celery
from celery.app.utils import find_app

import chordwatch
from chordwatch.errors import ChordwatchError, SettingError
from chordwatch.watch.look import Look

APP_VARIABLE = "CHORDWATCH_APP"
BROKER_VARIABLE = "CELERY_BROKER_URL"
BACKEND_VARIABLE = "CELERY_RESULT_BACKEND"

#: Seconds between two looks, and at least so many times what a look takes, so that watching stays cheap.
INTERVAL = 5.0
REST_FACTOR = 4.0

logger = logging.getLogger(__name__)


class Looker(Protocol):
    """What the dashboard needs of a `chordwatch` Watch."""

    def look(self, *, health: str, limit: int | None) -> Look:
        """Look once at the installation; `limit` None means all chords."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was seen, or the error that says why nothing was; `seconds` is how long that took."""

    seen: Look | ChordwatchError
    ended_at: float
    seconds: float


def open_watch() -> Looker:
    """Connect to the app that the environment names.

    Raises:
        ChordwatchError: The environment names none, or one that cannot be read; the message says what to do.
    """
    return chordwatch.connect(app_from_environment())


def app_from_environment() -> Celery:
    """Return the app named by `CHORDWATCH_APP`, else a plain one for the URLs that Celery itself reads."""
    name = os.environ.get(APP_VARIABLE)
    if name:
        return _find(name)
    if os.environ.get(BROKER_VARIABLE) or os.environ.get(BACKEND_VARIABLE):
        return Celery("chordwatch-dashboard")
    raise SettingError(
        f"No Celery app is named: set {APP_VARIABLE} to what you give to `celery -A`, "
        f"or {BROKER_VARIABLE} and {BACKEND_VARIABLE} to the app's URLs, and start the dashboard again."
    )


class SharedLook:
    """The latest look, taken at most once per interval however many viewers ask. Safe in threads.

    The first viewer waits for the look; afterwards a look that is due is taken in the background, while
    everybody goes on with the one before. Nobody asking means nothing is looked at.
    """

    def __init__(
        self, open_watch: Callable[[], Looker], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._open_watch = open_watch
        self._clock = clock
        self._watch: Looker | None = None
        self._outcome: Outcome | None = None
        self._looking = threading.Lock()

    def current(self) -> Outcome:
        """Return the latest outcome; waits only while there is none that is fresh enough to be shown."""
        outcome = self._outcome
        if outcome is None or self._age_in_intervals(outcome) > REST_FACTOR:
            with self._looking:
                if self._outcome is None or self._outcome is outcome:
                    self._outcome = self._take()
                return self._outcome
        if self._age_in_intervals(outcome) > 1 and self._looking.acquire(blocking=False):
            threading.Thread(target=self._refresh, name="chordwatch-look", daemon=True).start()
        return outcome

    def _age_in_intervals(self, outcome: Outcome) -> float:
        return (self._clock() - outcome.ended_at) / max(INTERVAL, REST_FACTOR * outcome.seconds)

    def _refresh(self) -> None:
        try:
            self._outcome = self._take()
        finally:
            self._looking.release()

    def _take(self) -> Outcome:
        started = self._clock()
        seen = self._look()
        ended = self._clock()
        return Outcome(seen=seen, ended_at=ended, seconds=ended - started)

    def _look(self) -> Look | ChordwatchError:
        try:
            self._watch = self._watch or self._open_watch()
            return self._watch.look(health="open", limit=None)
        except ChordwatchError as error:
            return error
        except Exception as error:
            # A defect must not end in a traceback in the browser, which may name hosts and passwords.
            logger.exception("The look failed unexpectedly")
            return ChordwatchError(
                f"The look failed with {type(error).__name__}; the dashboard's log has the details."
            )


def _find(name: str) -> Celery:
    try:
        app = find_app(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingError(
            f"{APP_VARIABLE} is {name!r}, which cannot be loaded ({type(error).__name__}: {error}): "
            "give what you give to `celery -A`, and start the dashboard in the project's folder."
        ) from error
    if not isinstance(app, Celery):
        raise SettingError(
            f"{APP_VARIABLE} is {name!r}, which is a {type(app).__name__} and not a Celery app: "
            "give what you give to `celery -A`."
        )
    return app
