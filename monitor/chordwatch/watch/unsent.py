"""Parts that nobody has seen sent: the rest of a chain leaves the broker together with its running step. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import replace

from chordwatch.evidence.facts import ChordEvidence, Place, Unlock
from chordwatch.model import FINISHED, Chord
from chordwatch.recording.signatures import Body, read_body
from chordwatch.store.protocol import RecordedChord
from chordwatch.watch.look import Sighting

_UNKNOWN = Place(kind="unknown")


def without_unsent(
    sighting: Sighting, stored: Collection[str], carriers: frozenset[str], *, all_told: bool
) -> Sighting:
    """Return the sighting in which it is not known where a part is that a running task may still send.

    Nobody tells what a task carries whose message is acknowledged: a chain's next steps, an inner chord's callback.
    `carriers` are the ids of such tasks at workers, complete where `all_told`; of the chord's own parts none carries
    another. `stored` are the tasks that have a result, so they were sent.
    """
    chord = sighting.chord
    if chord.state in FINISHED or not any(place.kind == "nowhere" for place in sighting.places.values()):
        return sighting
    own = {chord.callback.task_id, *(task.task_id for task in chord.header)}
    if all_told and carriers <= own:
        return sighting
    unsent = {
        task.task_id
        for task in chord.header
        if task.published_at is None
        and task.state == "unknown"
        and not task.attempts
        and task.task_id not in stored
    }
    places = {
        id_: _UNKNOWN if place.kind == "nowhere" and id_ in unsent else place
        for id_, place in sighting.places.items()
    }
    return replace(sighting, places=places)


def carrying_nothing(
    chords: Iterable[tuple[Chord, ChordEvidence | None, RecordedChord | None]],
) -> set[str]:
    """Return the parts of chords after which nothing follows: all that such a part carries is its callback."""
    return {
        task.task_id
        for chord, evidence, recorded in chords
        if (body := _told(evidence) or _kept(recorded)) and not body.carries
        for task in chord.header
        if task.task_id
    }


def polled_and_carrying_nothing(unlocks: Iterable[Unlock]) -> set[str]:
    """Return the same of chords whose parts are polled for, as the message says that does it."""
    return {
        task_id for unlock in unlocks if unlock.body and not unlock.body.carries for task_id in unlock.header
    }


def _told(evidence: ChordEvidence | None) -> Body | None:
    if evidence is None:
        return None
    polled = evidence.keys.unlock.body if evidence.keys.unlock else None
    return polled or next((message.body for message in evidence.messages if message.body), None)


def _kept(recorded: RecordedChord | None) -> Body | None:
    if recorded is None or recorded.signature is None:
        return None
    try:
        return read_body(json.loads(recorded.signature))
    except ValueError:
        return None
