"""Publishing a canvas and finding out which ids it got."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from celery import Signature
from celery.result import GroupResult


@dataclass(frozen=True, slots=True)
class Started:
    """What was published: the chord's group id, its callback's id, and the id that the caller holds."""

    chord_id: str | None
    callback_id: str | None
    result_id: str


def launch(canvas: Signature) -> Started:
    """Publish `canvas`."""
    return describe(canvas.apply_async())


def describe(result: Any) -> Started:
    """Return the ids in the result of a published canvas; of several chords the first to run.

    The result cannot be waited for any more.
    """
    chords = [
        (node.parent.id, node.id)
        for node in _lineage(result)
        # A header without tasks is no chord: Celery sends its callback at once.
        if isinstance(node.parent, GroupResult) and node.parent.results
    ]
    chord_id, callback_id = chords[-1] if chords else (None, None)
    _stop_waiting(result)
    return Started(chord_id, callback_id, result.id)


def _lineage(result: Any) -> Iterator[Any]:
    """Yield the result and what runs before it, the last first."""
    while result is not None:
        yield result
        result = result.parent


def _stop_waiting(result: Any) -> None:
    """Drop what Celery keeps of every member of a group: the result object and a subscription in Redis.

    Both are meant for a caller that waits. Nobody does here, and in a service that lives they would pile up.
    """
    for node in _lineage(result):
        if isinstance(node, GroupResult):
            for member in node.results:
                _stop_waiting(member)
        else:
            # A chord makes two result objects for a member, and one of them cannot be reached otherwise.
            node.backend._pending_results.concrete.pop(node.id, None)  # noqa: SLF001  # see above
