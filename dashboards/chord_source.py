# ruff: noqa: INP001  # Streamlit puts this folder on sys.path, so these are modules and not a package
"""Which Celery app the dashboard watches, and the one source that all its viewers share.

Runs in Streamlit's process. Does not import Streamlit. Tests replace `open_source`, nothing else.
"""

from __future__ import annotations

import os

from celery import Celery
from celery.app.utils import find_app

from chordwatch.board.source import Source
from chordwatch.errors import SettingError

APP_VARIABLE = "CHORDWATCH_APP"
BROKER_VARIABLE = "CELERY_BROKER_URL"
BACKEND_VARIABLE = "CELERY_RESULT_BACKEND"


def open_source() -> Source:
    """Return a source for the app that the environment names.

    Raises:
        ChordwatchError: The environment names none, or one that cannot be read; the message says what to do.
    """
    return Source(app_from_environment())


def app_from_environment() -> Celery:
    """Return the app named by `CHORDWATCH_APP`, else a plain one for the URLs that Celery itself reads."""
    name = os.environ.get(APP_VARIABLE)
    if name:
        return _find(name)
    if os.environ.get(BROKER_VARIABLE) or os.environ.get(BACKEND_VARIABLE):
        # As `celery -b` makes its app: a report then knows that the project's settings are not at hand.
        return Celery("chordwatch-dashboard", loader=os.environ.get("CELERY_LOADER") or "default")
    raise SettingError(
        f"No Celery app is named: set {APP_VARIABLE} to what you give to `celery -A`, "
        f"or {BROKER_VARIABLE} and {BACKEND_VARIABLE} to the app's URLs, and start the dashboard again."
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
