"""Finds the chord that an id belongs to: group id, callback's id, a header task's, or a chain's through it."""

from __future__ import annotations

from chordwatch.evidence.backend import GROUPLESS_CALLBACKS
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.readers import Backend
from chordwatch.watch import family
from chordwatch.watch.survey import Survey


def find_chord_id(wanted: str, backend: Backend, survey: Survey, budget: Budget, gaps: Gaps) -> str:
    """Return the group id that `wanted` leads to; cheap and certain signs first. It may be a plain group's."""
    return (
        _in_messages(wanted, survey)
        or _in_keys(wanted, backend, budget, gaps)
        or _in_results(wanted, backend, gaps)
        or _ahead(wanted, survey)
        or _in_parts(wanted, backend, budget, gaps)
        or wanted
    )


def _in_messages(wanted: str, survey: Survey) -> str | None:
    for chord_id, messages in survey.messages.items():
        bodies = [message.body for message in messages if message.body]
        if bodies and (wanted == chord_id or any(wanted in b.ids for b in bodies)):
            return chord_id
    for chord_id, parts in survey.carried.items():
        if wanted == chord_id or any(wanted in p.body.ids for p in parts.values()):
            return chord_id
    for chord_id, parts in survey.carried.items():
        if wanted in parts:
            return chord_id
    for chord_id, unlock in survey.unlocks.items():
        body = unlock.body.ids if unlock.body else ()
        if wanted in (chord_id, unlock.task_id) or wanted in unlock.header or wanted in body:
            return chord_id
    message = survey.waiting.get(wanted)
    return message.group_id if message else None


def _in_keys(wanted: str, backend: Backend, budget: Budget, gaps: Gaps) -> str | None:
    return wanted if backend.read_chords([wanted], budget, gaps) else None


def _in_results(wanted: str, backend: Backend, gaps: Gaps) -> str | None:
    """Follow a stored result: its own group, its parent's when it is a callback, a failed part's."""
    metas = backend.read_metas([wanted], gaps)
    meta = metas.get(wanted)
    if meta is None:
        return None
    relatives = {id_ for id_ in (meta.parent_id, family.quoted_id(meta)) if id_}
    metas |= backend.read_metas(relatives, gaps)
    return family.chord_called_by(meta, metas, groupless=GROUPLESS_CALLBACKS) or meta.group_id


def _ahead(wanted: str, survey: Survey) -> str | None:
    """Return the chord behind which the task comes in a chain: nothing else tells of it before the chord is over."""
    for chord_id, messages in survey.messages.items():
        if any(wanted in message.chain_ids for message in messages):
            return chord_id
    for chord_id, parts in survey.carried.items():
        carriers = (survey.waiting.get(part.carrier_id) for part in parts.values())
        if any(carrier and wanted in carrier.chain_ids for carrier in carriers):
            return chord_id
    return None


def _in_parts(wanted: str, backend: Backend, budget: Budget, gaps: Gaps) -> str | None:
    """Search the counted parts of all chords: tasks with `ignore_result` leave no other sign."""
    cursor = 0
    while not budget.spent:
        met = backend.scan_chords(cursor, budget.share(0.2))
        cursor = met.cursor
        for chord_id, keys in backend.read_chords(met.chord_ids, budget, gaps).items():
            if any(part.task_id == wanted for part in keys.parts) or wanted in (*keys.members, *keys.header):
                return chord_id
        if not cursor:
            return None
    gaps.note("Time ran out before all chords were searched for this id.", partial=True)
    return None
