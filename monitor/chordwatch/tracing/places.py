"""Where a task stands in a trace: which chord it belongs to, and as what. Pure; on the hot path of every task.

A plain task costs a few dictionary lookups. Checked against Celery 5.4 to 5.7.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from chordwatch.recording.ahead import holds_more
from chordwatch.recording.marks import read_marks
from chordwatch.recording.notes import Headers
from chordwatch.recording.signatures import embedded_parts, planned_chords
from chordwatch.tracing.names import ATTEMPT, CHORD_ID, INDEX, MESSAGE_ID, ROLE, TASK_NAME
from chordwatch.tracing.spans import Attributes

Role = Literal["header", "callback"]


class Place(NamedTuple):
    """A task of a chord, or (`role` None) one whose chain has the chord still ahead.

    `part_id` is the header's part that the task works for: itself, or the last step of its chain.
    `around`: the chord in whose callback this chord is, None where that is not known or not so.
    `also`: further chords whose callback ends with this task.
    """

    chord_id: str
    role: Role | None
    group_index: int | None = None
    part_id: str | None = None
    around: str | None = None
    also: tuple[str, ...] = ()


def place_of(headers: Headers, chord: Any, chain: Any) -> Place | None:
    """Return the place of a task from its message's headers and what the message embeds; None for a plain task."""
    marks, group = read_marks(headers), headers.get("group")
    if marks and not marks[-1][1]:
        also = tuple(chord_id for chord_id, depth in marks[:-1] if not depth)
        return Place(marks[-1][0], "callback", also=also)
    around = marks[-1][0] if marks else None
    if chord is not None and group is not None:
        return Place(group, "header", headers.get("group_index"), headers["id"], around)
    if group is not None and chord is None and not marks and headers.get("group_index") is None:
        return Place(
            group, "callback"
        )  # as nobody marked it, it was published by a worker that does not record
    return _ahead(chain, around) if chain and any(holds_more(step) for step in chain) else None


def _ahead(chain: Any, around: str | None) -> Place | None:
    """Return the place of an earlier step of a chain: of the first part, else of the first chord, that follows."""
    for part in embedded_parts({"chain": chain}, ""):
        return Place(part.chord_id, "header", part.index, part.task_id, around)
    for planned in planned_chords({"chain": chain}):
        return Place(planned.chord_id, None)
    return None


def attempt_of(headers: Headers) -> tuple[int, int]:
    """Return retries and nesting of a task, or of its message."""
    return headers.get("retries") or 0, headers.get("replaced_task_nesting") or 0


def attributes_of(place: Place, headers: Headers) -> Attributes:
    """Return what the spans of a task say of it."""
    attributes: Attributes = {
        MESSAGE_ID: headers["id"],
        TASK_NAME: headers["task"],
        ATTEMPT: headers.get("retries") or 0,
    }
    if place.role is not None:
        attributes[CHORD_ID] = place.chord_id
        attributes[ROLE] = place.role
        if place.group_index is not None:
            attributes[INDEX] = place.group_index
    return attributes
