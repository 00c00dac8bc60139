"""The project of the faults, for a monitor whose looks do not end while a file says so."""

from __future__ import annotations

import functools
from typing import Any

from project import FOLDER, app, wait_for

from chordwatch.watch import Watch
from tests.alerts.gates import GO_ON, HANG

__all__ = ["app"]

_look = Watch.look


@functools.wraps(_look)
def _hanging_look(self: Watch, *args: Any, **kwargs: Any) -> Any:
    if (FOLDER / HANG).exists():
        wait_for(GO_ON)
    return _look(self, *args, **kwargs)


Watch.look = _hanging_look  # type: ignore[method-assign]
