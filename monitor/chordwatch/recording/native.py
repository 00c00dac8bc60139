"""A native thread and what it may wait on, also where gevent or eventlet have replaced Python's own.

A patched thread is a greenlet: it stands still while a task computes, and so would flush and heartbeat.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any


def original(module: str, name: str) -> Any:
    """Return `module.name` as the interpreter made it, whatever was patched since."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched(module):
        return monkey.get_original(module, name)
    patcher = sys.modules.get("eventlet.patcher")
    if (
        patcher is not None and patcher.already_patched
    ):  # it keeps `_thread` under another name than the module's
        return getattr(patcher.original(module), name)
    return getattr(importlib.import_module(module), name)


def start_thread(run: Callable[[], None]) -> None:
    """Run `run` in a native daemon thread."""
    original("_thread", "start_new_thread")(run, ())


class Flag:
    """What one native thread waits for and any thread or greenlet raises, without ever waiting itself."""

    def __init__(self) -> None:
        self._lock = original("_thread", "allocate_lock")()
        self._lock.acquire()

    def wait(self, seconds: float = -1) -> bool:
        """Wait until it is raised, at most `seconds` (-1: for ever); lower it. Return whether it was raised."""
        return bool(self._lock.acquire(True, seconds))  # the lock's own signature

    def raise_(self) -> None:
        """Raise it; raising it twice is once."""
        try:
            self._lock.release()
        except RuntimeError:  # it is raised already
            return
