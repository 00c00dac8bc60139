"""What many viewers share: something taken once for all of them, and what was made lately, by key. Thread-safe."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from chordwatch.errors import ChordwatchError

_Value = TypeVar("_Value")
_Key = TypeVar("_Key", bound=Hashable)
Clock = Callable[[], float]

#: What took longer (seconds) is taken in the background the next time.
_QUICK = 0.3
#: What is so many times as old as it should be is not shown any more: viewers wait for it to be taken anew.
_TOO_LATE = 4.0


@dataclass(frozen=True, slots=True)
class _Taken(Generic[_Value]):
    """A value with the moments at which it is due to be taken anew, and too old to be shown."""

    value: _Value
    quick: bool
    due_at: float
    late_at: float


class Shared(Generic[_Value]):
    """The latest value of something, taken only when somebody asks, and only once however many do.

    The first viewer waits for it. Later one that is due is taken by whoever asks where that is quick, and in the
    background where it takes long, while everybody goes on with the one before.
    """

    def __init__(self, take: Callable[[], tuple[_Value, float]], *, clock: Clock = time.monotonic) -> None:
        """`take` returns a value and in how many seconds the next is due; it does not raise."""
        self._take, self._clock = take, clock
        self._last: _Taken[_Value] | None = None
        self._taking = threading.Lock()

    def current(self) -> _Value:
        """Return the latest value; waits only where there is none that may be shown."""
        last = self._last
        if last is None or self._clock() >= last.late_at:
            with self._taking:
                if self._last is last:
                    self._last = self._taken()
                return self._last.value if self._last else self._taken().value
        if self._clock() >= last.due_at and self._taking.acquire(blocking=False):
            if not last.quick:
                threading.Thread(target=self._refresh, name="chordwatch-look", daemon=True).start()
                return last.value
            self._refresh()
        return self._last.value if self._last else last.value

    def _refresh(self) -> None:
        """Take the value anew; whoever calls this holds the lock."""
        try:
            self._last = self._taken()
        finally:
            self._taking.release()

    def _taken(self) -> _Taken[_Value]:
        started = self._clock()
        value, due = self._take()
        ended = self._clock()
        return _Taken(
            value=value, quick=ended - started < _QUICK, due_at=ended + due, late_at=ended + _TOO_LATE * due
        )


@dataclass(slots=True)
class _Entry(Generic[_Value]):
    """What was made of one key, or the error instead; whoever makes it holds the lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    made: tuple[_Value] | ChordwatchError | None = None
    until: float = 0.0


class Recent(Generic[_Key, _Value]):
    """What was made lately, by key: kept for so many seconds, and so many of them at the most.

    Several viewers of one key wait for one of them, and an error is as good as a value.
    """

    def __init__(self, seconds: float, size: int, *, clock: Clock = time.monotonic) -> None:
        self._seconds, self._size, self._clock = seconds, size, clock
        self._entries: OrderedDict[_Key, _Entry[_Value]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _Key, make: Callable[[], _Value], *, anew: bool = False) -> _Value:
        """Return what was made of this key, by `make` where that was too long ago, or where it is wanted `anew`.

        Raises:
            ChordwatchError: as `make` raised it.
        """
        entry = self._entry(key)
        with entry.lock:
            if entry.made is None or anew or self._clock() >= entry.until:
                try:
                    entry.made = (make(),)
                except ChordwatchError as error:
                    entry.made = error
                entry.until = self._clock() + self._seconds
            if isinstance(entry.made, ChordwatchError):
                raise entry.made.with_traceback(None)  # or it would grow with each viewer
            return entry.made[0]

    def _entry(self, key: _Key) -> _Entry[_Value]:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                entry = self._entries[key] = _Entry()
            self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)
            return entry
