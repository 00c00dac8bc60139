"""A Celery worker whose clock is wrong: `python healthy_worker.py SECONDS ARGUMENTS_OF_CELERY...`."""

from __future__ import annotations

import datetime as dt
import sys
import time
from typing import Any

SECONDS = float(sys.argv.pop(1))
_right_time, _RightDatetime = time.time, dt.datetime


class Datetime(_RightDatetime):
    """A datetime whose `now` is wrong."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        """Return what the wrong clock shows."""
        return super().now(tz) + dt.timedelta(seconds=SECONDS)

    @classmethod
    def utcnow(cls) -> Any:
        """Return what the wrong clock shows, without a zone."""
        return super().utcnow() + dt.timedelta(seconds=SECONDS)


time.time = lambda: _right_time() + SECONDS
dt.datetime = Datetime  # type: ignore[misc]

from celery.__main__ import main  # noqa: E402  # whatever asks for the time is imported with the wrong clock

if __name__ == "__main__":
    sys.argv[0] = "celery"
    sys.exit(main())
