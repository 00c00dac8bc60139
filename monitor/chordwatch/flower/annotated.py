"""Beside each task in Flower's list and on its task page: the chord that it belongs to, as text that Flower escapes.

Flower calls `format_task` for each row, in its loop, so the words for all tasks of a page are made before, at once.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from flower.views import tasks
from tornado import web

from chordwatch.board.links import chord_url
from chordwatch.board.make import TEXT_LENGTH
from chordwatch.board.rows import ChordRow
from chordwatch.errors import ChordwatchError
from chordwatch.flower.known import Known
from chordwatch.store.protocol import Membership
from chordwatch.text import plain

logger = logging.getLogger(__name__)

#: Flower's pages wait for their annotations so long.
_SECONDS = 4.0
#: Words that are kept: Flower shows at most 100 tasks on a page.
_SIZE = 2_000

#: By task id. Written and read in Flower's loop alone.
_words: OrderedDict[str, str] = OrderedDict()


def format_task(task: Any) -> Any:
    """Return Flower's copy of a task with its chord in the field `chord`; to be Flower's option of this name.

    Never raises: Flower's list needs the field on each row.
    """
    task.chord = _words.get(task.uuid)
    if "chord" not in task._fields:  # what Flower's pages show of a Celery event
        task._fields = (*task._fields, "chord")  # of this copy alone
    return task


def words_of(membership: Membership, row: ChordRow | None, *, dashboard_url: str) -> str:
    """Return what is said of a task's chord, `row` being what the board says of it where it is not well."""
    index = "" if membership.index is None else f" index {membership.index}"
    name = f" of {plain(membership.callback)}" if membership.callback else ""
    cause = f": {plain(row.cause)}{'' if row.certain else ' (not certain)'}" if row and row.cause else ""
    chord = plain(membership.chord_id)
    return " · ".join(
        (
            f"{membership.role}{index}{name}",
            *([f"{row.health}{cause}"] if row else []),
            chord_url(dashboard_url, membership.chord_id) if dashboard_url else f"chord {chord}",
        )
    )


async def annotate(handler: web.RequestHandler, task_ids: Iterable[str]) -> None:
    """Make the words for these tasks. Where nothing can be read in time, they are shown without."""
    wanted = list(task_ids)
    try:
        known = Known.of(handler.application)
        words = await known.ask(lambda: _all_words(known, wanted), seconds=_SECONDS)
    except ChordwatchError as error:
        logger.warning("Tasks are shown without their chords: %s", error)
        words = {}
    for task_id in wanted:
        _words.pop(task_id, None)
    _words.update(words)
    while len(_words) > _SIZE:
        _words.popitem(last=False)


def _all_words(known: Known, task_ids: list[str]) -> Mapping[str, str]:
    memberships = known.memberships(task_ids)
    troubled = known.troubled() if memberships else {}
    url = known.source.settings.dashboard_url
    return {
        task_id: words_of(membership, troubled.get(membership.chord_id[:TEXT_LENGTH]), dashboard_url=url)
        for task_id, membership in memberships.items()
    }


class TaskView(tasks.TaskView):  # type: ignore[misc]  # Flower has no types
    """Flower's page of a task, its chord read before."""

    @web.authenticated
    async def get(self, task_id: str) -> None:
        """Show a task."""
        await annotate(self, [task_id])
        super().get(task_id)


class TasksDataTable(tasks.TasksDataTable):  # type: ignore[misc]  # as above
    """Flower's list of tasks, their chords read before."""

    def initialize(self) -> None:
        """Note which tasks the list shows."""
        self._shown: list[str] = []

    @web.authenticated
    async def get(self) -> None:
        """Send a page of the list."""
        super().get()
        # Only now it is known which tasks are on the page; it is made again once their chords are.
        await annotate(self, self._shown)
        self.clear()
        super().get()

    def format_task(self, task: tuple[str, Any]) -> Any:
        """Return a row, as Flower's own list does."""
        self._shown.append(task[0])
        return super().format_task(task)
