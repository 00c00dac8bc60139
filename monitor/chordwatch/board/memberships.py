"""The chords of tasks, remembered for a while: a list of tasks costs the store one question, and mostly none."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from chordwatch.board.kept import Clock
from chordwatch.store.protocol import Membership

#: Seconds. What a task belongs to does not change, but may become known in parts, or only after the task itself: one
#: without a chord is asked for again soon, and then after twice as long each time.
_KNOWN, _UNKNOWN = 60.0, 3.0
#: About 400 bytes each.
_SIZE = 20_000


class _Found(NamedTuple):
    """What was found of a task, and how long and until when it is good for."""

    membership: Membership | None
    seconds: float
    until: float


class Memberships:
    """Remembers the chords of the tasks that were asked for last. Thread-safe: one asks the store, the others wait."""

    def __init__(
        self,
        ask: Callable[[list[str]], Mapping[str, Membership]],
        *,
        size: int = _SIZE,
        clock: Clock = time.monotonic,
    ) -> None:
        """`ask` is the store's `memberships`."""
        self._ask, self._size, self._clock = ask, size, clock
        self._found: OrderedDict[str, _Found] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, task_ids: Iterable[str]) -> dict[str, Membership]:
        """Return the chords of those of these tasks that have one; one question for all that are not remembered.

        Raises:
            ChordwatchError: as `ask` raises it.
        """
        wanted = list(dict.fromkeys(task_ids))[: self._size]
        with self._lock:
            now = self._clock()
            for task_id in wanted:
                if task_id in self._found:
                    self._found.move_to_end(task_id)  # what is asked for is forgotten last
            unknown = [
                task_id
                for task_id in wanted
                if task_id not in self._found or self._found[task_id].until <= now
            ]
            if unknown:
                self._remember(unknown, self._ask(unknown), now)
            found = {task_id: self._found[task_id].membership for task_id in wanted}
        return {task_id: membership for task_id, membership in found.items() if membership}

    def _remember(self, asked: list[str], answer: Mapping[str, Membership], now: float) -> None:
        for task_id in asked:
            membership, before = answer.get(task_id), self._found.get(task_id)
            seconds = _KNOWN if membership else _UNKNOWN
            if before and not membership and not before.membership:
                seconds = min(2 * before.seconds, _KNOWN)
            self._found[task_id] = _Found(membership, seconds, now + seconds)
            self._found.move_to_end(task_id)
        while len(self._found) > self._size:
            self._found.popitem(last=False)
