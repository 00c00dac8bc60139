"""Posts in the store what dashboards read: the board after each look, and now and then a sample for the history.

Runs in the monitor's thread. Several monitors post the same board, the last one wins.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from chordwatch.board.history import RESOLUTIONS, post_sample
from chordwatch.board.make import board_of
from chordwatch.board.posted import BOARD, current_for, pack_board
from chordwatch.board.rows import Board
from chordwatch.board.samples import sample_of
from chordwatch.errors import SettingError, UnreachableError
from chordwatch.settings import Settings
from chordwatch.store.protocol import Counters, Store
from chordwatch.watch import Look
from chordwatch.watch.recorded import Totals
from chordwatch.watch.running import stale_after

logger = logging.getLogger(__name__)

#: Seconds after which a store that did not answer is tried again.
_RETRY = 10.0


class Poster:
    """Takes looks one after another. A store that does not answer is left alone for a while; nothing else is lost."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`open_store` may raise what opening a store raises."""
        self._open, self._clock = open_store, clock
        self._interval = settings.monitor_interval
        self._stale = stale_after(settings.heartbeat_interval)
        self._store: Store | None = None
        self._away = ""
        self._again_at = -math.inf
        self._slot = 0
        self._posted_at: float | None = None

    def close(self) -> None:
        """Give the connection back."""
        if self._store:
            self._store.close()
            self._store = None

    def post(self, look: Look, totals: Totals | None) -> None:
        """Post the board of this look, and of what the store told then; and a sample where one is due."""
        if self._clock() < self._again_at:
            return
        now = self._clock()
        since, self._posted_at = self._posted_at, now
        board = board_of(look, totals, looker="monitor", interval=self._interval, stale=self._stale)
        # Where a look takes long, the next board is as long in coming; dashboards must not look too for that.
        due = self._interval if since is None else max(self._interval, now - since)
        try:
            self._store = self._store or self._open()
            self._store.post(BOARD, pack_board(board), keep=current_for(due))
            if totals and totals.up:
                self._sample(self._store, board, totals.counters)
        except (UnreachableError, SettingError) as exc:
            self.close()
            self._again_at = self._clock() + _RETRY
            if not self._away:
                logger.info("Dashboards look for themselves: %s", exc)
            self._away = str(exc)
        else:
            self._away = ""

    def _sample(self, store: Store, board: Board, counters: Counters) -> None:
        now = store.now()
        slot = int(now // RESOLUTIONS[0].seconds)
        if slot != self._slot:
            post_sample(store, sample_of(board, counters, at=now))
            self._slot = slot
