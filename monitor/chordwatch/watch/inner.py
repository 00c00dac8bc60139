"""Chords inside others: an open one that ends with a part of another's header is what that one waits for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from chordwatch.evidence.facts import ChordEvidence
from chordwatch.model import FINISHED
from chordwatch.store.protocol import RecordedChord
from chordwatch.watch.assemble import inner_of
from chordwatch.watch.look import Sighting
from chordwatch.watch.survey import Survey

#: One chord as a look met it: by the X-ray, by its record, or by both.
Met = tuple[ChordEvidence | None, RecordedChord | None]
#: So many chords inside one are looked at with it, and chords are followed inwards so far.
MAX_INNER, _DEEPEST = 20, 50


class HasSighting(Protocol):
    """Anything that a look saw as one chord."""

    @property
    def sighting(self) -> Sighting:
        """What was seen of it."""


_Seen = TypeVar("_Seen", bound=HasSighting)


def with_inner(
    outer: Met,
    others: Iterable[RecordedChord],
    survey: Survey,
    read: Callable[[str, RecordedChord | None], ChordEvidence | None],
) -> list[Met]:
    """Return a chord, then those that end with its parts, and those inside them: their causes are its own.

    `others` are recorded chords that may be among them; `read` looks at one by its group id.
    """
    known = {known.chord.chord_id: known for known in others}
    ends = {id_: each for each in known.values() if (id_ := each.chord.callback.task_id)}
    met, ahead = [outer], [outer]
    taken = {outer[1].chord.chord_id} if outer[1] else set()
    while ahead and len(met) <= MAX_INNER:
        for chord_id in _inner_ids(*ahead.pop(), ends, survey):
            recorded = known.get(chord_id)
            if chord_id in taken or (recorded and recorded.chord.state in FINISHED):
                continue
            taken.add(chord_id)
            if evidence := read(chord_id, recorded):
                met.append((evidence, recorded))
                ahead.append((evidence, recorded))
    return met


def _inner_ids(
    evidence: ChordEvidence | None,
    recorded: RecordedChord | None,
    ends: Mapping[str, RecordedChord],
    survey: Survey,
) -> Iterator[str]:
    """Yield the group ids of the chords that end with a part of this one, by records and by waiting messages."""
    for gap in recorded.chord.missing if recorded else ():
        if gap.task_id and gap.task_id in ends:
            yield ends[gap.task_id].chord.chord_id
    for part in (evidence.carried if evidence else {}).values():
        if inner_id := inner_of(part, survey.waiting.get(part.carrier_id)):
            yield inner_id


def inner_first(seen: Sequence[_Seen]) -> list[_Seen]:
    """Return the chords in an order in which each stands behind those that end with its parts."""
    ends = {id_: each for each in seen if (id_ := each.sighting.chord.callback.task_id)}
    placed: dict[str, _Seen] = {}
    for each in seen:
        _place(each, ends, placed, frozenset())
    return list(placed.values())


def _place(each: _Seen, ends: Mapping[str, _Seen], placed: dict[str, _Seen], above: frozenset[str]) -> None:
    chord = each.sighting.chord
    # Forged ids can form a ring.
    if chord.chord_id in placed or chord.chord_id in above or len(above) > _DEEPEST:
        return
    for gap in chord.missing:
        if gap.task_id and gap.task_id in ends:
            _place(ends[gap.task_id], ends, placed, above | {chord.chord_id})
    placed[chord.chord_id] = each
