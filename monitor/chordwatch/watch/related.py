"""How chords belong together: one inside another, one after another in a chain, one sent by another's task. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from chordwatch.model import FINISHED, Chord
from chordwatch.store.protocol import Judgement, RecordedChord
from chordwatch.watch.look import Sighting

#: What the other chord is to this one, the nearest first.
Relation = Literal["around", "inside", "before", "after", "sender", "sent", "same chain", "same root"]
_NEAREST: tuple[Relation, ...] = get_args(Relation)
#: A root task may have sent thousands.
MAX_RELATED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """Another chord. `inside`: it ends with a part of this one's header; `around`: this one ends with a part of its.

    `before` and `after`: in the same chain; `same chain`: both are still ahead, in an order that nobody told.
    `sender`: one of its tasks sent this one; `sent`: one of this one's tasks sent it. An open one has the health and
    the verdicts that a monitor found last, `ok` where none did.
    """

    relation: Relation
    chord: Chord


def related_to(sighting: Sighting, others: Iterable[RecordedChord]) -> tuple[Related, ...]:
    """Return those of the chords that belong to this one, the nearest first."""
    own = sighting.chord
    header = _header_ids(own)
    found = [
        Related(relation=relation, chord=other.chord)
        for other in others
        if other.chord.chord_id != own.chord_id
        and (relation := _relation(own, header, sighting.carrier_id, other))
    ]
    found.sort(key=lambda each: (_NEAREST.index(each.relation), _opened(each.chord)))
    return tuple(found[:MAX_RELATED])


def with_judgement(related: Related, judgement: Judgement | None) -> Related:
    """Return an open chord with what a monitor found of it."""
    if judgement is None or related.chord.state in FINISHED:
        return related
    last = judgement.chord
    return replace(related, chord=replace(related.chord, health=last.health, verdicts=last.verdicts))


def _relation(
    own: Chord, header: frozenset[str], carrier_id: str | None, other: RecordedChord
) -> Relation | None:
    chord, its_header = other.chord, _header_ids(other.chord)
    in_chain = carrier_id is not None and other.carrier_id == carrier_id
    rules: tuple[tuple[Relation, bool], ...] = (
        ("inside", chord.callback.task_id in header),
        ("around", own.callback.task_id in its_header),
        ("before", in_chain and _opened(chord) < _opened(own)),
        ("after", in_chain and _opened(chord) > _opened(own)),
        ("same chain", in_chain),
        ("before", own.parent_id is not None and own.parent_id == chord.callback.task_id),
        ("sender", own.parent_id in its_header),
        ("after", chord.parent_id is not None and chord.parent_id == own.callback.task_id),
        ("sent", chord.parent_id in header),
        ("same root", own.root_id is not None and own.root_id == chord.root_id),
    )
    return next((relation for relation, holds in rules if holds), None)


def _opened(chord: Chord) -> float:
    """Return when a chord was opened; those that are still ahead come last."""
    return float("inf") if chord.opened_at is None else chord.opened_at


def _header_ids(chord: Chord) -> frozenset[str]:
    return frozenset(task.task_id for task in chord.header if task.task_id)
