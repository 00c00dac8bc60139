"""A source's connections: the store for one thread at a time, and a few watches that are lent out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import LifoQueue
from typing import TypeVar

from chordwatch.errors import ChordwatchError, SettingError, UnreachableError
from chordwatch.store.protocol import Store
from chordwatch.watch import Watch

logger = logging.getLogger(__name__)

#: A store that did not answer is asked again after so many seconds: viewers would wait for it one after another.
_RETRY_AFTER = 5.0

_Answer = TypeVar("_Answer")


class SharedStore:
    """One connection to the store. Thread-safe: one reads, the others wait."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._open = open_store
        self._store: Store | None = None
        self._refused: UnreachableError | SettingError | None = None
        self._again_at = 0.0
        self._lock = threading.Lock()

    def read(self, read: Callable[[Store], _Answer]) -> _Answer:
        """Return what `read` reads.

        Raises:
            UnreachableError: the store does not answer, or did not a moment ago.
            SettingError: the settings lead to no store.
        """
        with self._lock:
            if self._refused and time.monotonic() < self._again_at:
                raise self._refused.with_traceback(None)  # or it would grow with each viewer
            try:
                self._store = self._store or self._open()
                answer = read(self._store)
            except (UnreachableError, SettingError) as error:
                self._refused, self._again_at = error, time.monotonic() + _RETRY_AFTER
                self._hang_up()
                raise
            self._refused = None
            return answer

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._store:
            self._store.close()
            self._store = None


class Watches:
    """So many watches at the most, opened when they are needed, each lent to one thread at a time. Thread-safe."""

    def __init__(self, open_watch: Callable[[], Watch], number: int) -> None:
        self._open = open_watch
        self._free: LifoQueue[Watch | None] = LifoQueue()
        for _ in range(number):
            self._free.put(None)

    @contextmanager
    def one(self) -> Iterator[Watch]:
        """Lend a watch; waits while all are lent out.

        Raises:
            ChordwatchError: as the watch raised it, or in place of what nobody foresaw, which is logged.
        """
        watch = self._free.get()
        try:
            watch = watch or self._open()
            yield watch
        except Exception as error:
            # Its connections may be broken; the next who borrows it opens them anew.
            if watch:
                watch.close()
            if isinstance(error, ChordwatchError):
                raise
            logger.exception("A look failed unexpectedly")
            # A traceback in a browser may name hosts and passwords.
            raise ChordwatchError(
                f"The look failed with {type(error).__name__}; the log has more."
            ) from error
        finally:
            self._free.put(watch)

    def close(self) -> None:
        """Give the connections of those back that are not lent out."""
        for watch in [self._free.get() for _ in range(self._free.qsize())]:
            if watch:
                watch.close()
            self._free.put(None)
