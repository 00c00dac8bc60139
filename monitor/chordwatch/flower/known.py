"""What one Flower process knows of chords. Its questions wait for servers, and are asked beside Flower's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from celery import Celery
from tornado.web import Application

from chordwatch.board.memberships import Memberships
from chordwatch.board.rows import Board, ChordRow
from chordwatch.board.source import Source
from chordwatch.errors import ChordwatchError
from chordwatch.store.protocol import Membership

_KEY = "chordwatch"
#: Questions asked side by side; Flower's own threads stay free.
_THREADS = 4

_Answer = TypeVar("_Answer")


class Known:
    """The source of Flower's app, and the chords of the tasks that Flower has shown."""

    def __init__(self, app: Celery) -> None:
        """Open nothing yet.

        Raises:
            SettingError: one of chordwatch's settings cannot be used.
        """
        self.source = Source(app)
        self._memberships = Memberships(
            lambda task_ids: self.source.read(lambda store: store.memberships(task_ids))
        )
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="chordwatch")

    @classmethod
    def of(cls, application: Application) -> Known:
        """Return what a Flower knows, its own for each; called in Flower's loop.

        Raises:
            SettingError: one of chordwatch's settings cannot be used.
        """
        known = application.settings.get(_KEY)
        if not isinstance(known, cls):
            known = application.settings[_KEY] = cls(application.capp)  # type: ignore[attr-defined]  # Flower's
        return known

    async def ask(self, question: Callable[[], _Answer], *, seconds: float) -> _Answer:
        """Return the answer to a question that waits for servers; what takes longer goes on for the next who asks.

        Raises:
            ChordwatchError: as the question raises it, or it takes longer.
        """
        asked = asyncio.get_running_loop().run_in_executor(self._threads, question)
        try:
            return await asyncio.wait_for(asked, seconds)
        except asyncio.TimeoutError as error:
            raise ChordwatchError(
                f"There is no answer after {seconds:g} s; this page goes on trying."
            ) from error

    def board(self) -> Board:
        """Return the board. Waits for servers.

        Raises:
            ChordwatchError: nothing can be seen.
        """
        board = self.source.board()
        if isinstance(board, ChordwatchError):
            raise board.with_traceback(None)  # it is shared, and would grow with each viewer
        return board

    def memberships(self, task_ids: Iterable[str]) -> Mapping[str, Membership]:
        """Return the chords of those of these tasks that have one. Waits for the store.

        Raises:
            ChordwatchError: the store does not answer, or there is none.
        """
        return self._memberships.of(task_ids)

    def troubled(self) -> Mapping[str, ChordRow]:
        """Return the chords of the board that are not well, by id; none where nothing can be seen."""
        try:
            board = self.board()
        except ChordwatchError:
            return {}
        return {row.chord_id: row for row in board.chords if row.health not in ("ok", "waiting")}
