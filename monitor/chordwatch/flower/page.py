"""The page `/chords` of Flower, and what it asks for while it is open. As protected as Flower's own pages."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import Any

from flower.views import BaseHandler
from tornado import web

from chordwatch.board.rows import Board
from chordwatch.errors import ChordwatchError
from chordwatch.flower.document import MAX_CHORDS, FlowerTask, document
from chordwatch.flower.known import Known
from chordwatch.store.protocol import Membership
from chordwatch.text import plain
from chordwatch.watch.words import SENTENCE_LENGTH

#: The page waits so long for its first look; a large installation without a monitor takes a while.
_SECONDS = 60.0
#: Of the tasks that Flower has in memory the newest so many are linked to.
_TASKS = 500


class ChordsView(BaseHandler):  # type: ignore[misc]  # Flower has no types
    """The page, and with `?json=1` what it shows."""

    @web.authenticated
    async def get(self) -> None:
        """Send the page, or what it shows."""
        if not self.get_argument("json", ""):
            self.render("chords.html")
            return
        try:
            self.write(await self._document())
        except ChordwatchError as error:
            self.write({"error": plain(str(error), SENTENCE_LENGTH)})

    async def _document(self) -> dict[str, Any]:
        known = Known.of(self.application)
        # Flower's memory is its loop's alone.
        newest = islice(self.application.events.state.tasks_by_timestamp(), _TASKS)
        tasks = [(task_id, str(task.state)) for task_id, task in newest]
        board, by_chord = await known.ask(lambda: _read(known, tasks), seconds=_SECONDS)
        return document(
            board,
            by_chord,
            dashboard_url=known.source.settings.dashboard_url,
            task_url=lambda task_id: self.reverse_url("task", task_id),
        )


def _read(
    known: Known, tasks: list[FlowerTask]
) -> tuple[Board, dict[str, list[tuple[FlowerTask, Membership]]]]:
    """Return the board, and by chord those of these tasks that belong to one on it."""
    board = known.board()
    by_chord: defaultdict[str, list[tuple[FlowerTask, Membership]]] = defaultdict(list)
    shown = {row.chord_id for row in board.chords[:MAX_CHORDS]}
    try:
        memberships = known.memberships(task_id for task_id, _ in tasks) if shown else {}
    except ChordwatchError:
        memberships = {}  # the board says what it is without
    for task in tasks:
        membership = memberships.get(task[0])
        if membership and membership.chord_id in shown:
            by_chord[membership.chord_id].append((task, membership))
    return board, by_chord
