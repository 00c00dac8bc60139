"""The last verdict of a chord whose truth is gone: `result_expires` erases the evidence, not what it told. Pure."""

from __future__ import annotations

from dataclasses import replace

from chordwatch.diagnosis.wording import clock
from chordwatch.model import FINISHED, Chord, health_of
from chordwatch.store.protocol import Judgement
from chordwatch.watch.look import Sighting


def with_last_verdict(sighting: Sighting | None, judgement: Judgement | None) -> Sighting | None:
    """Return the chord as it is now, or as it was last judged where no more of it is left.

    Verdicts of then say in their evidence when they were found.
    """
    if judgement is None:
        return sighting
    if sighting is not None and not outlived(sighting.chord, judgement.chord):
        return sighting
    found = f"Found at {clock(judgement.at)}; what it was decided from is gone by now."
    verdicts = tuple(replace(v, evidence=(*v.evidence, found)) for v in judgement.chord.verdicts)
    if sighting is None:
        return Sighting(chord=replace(judgement.chord, verdicts=verdicts))
    health = health_of(sighting.chord.state, verdicts)
    return replace(sighting, chord=replace(sighting.chord, verdicts=verdicts, health=health))


def outlived(chord: Chord, last: Chord) -> bool:
    """Whether nothing is found any more that names a cause, while the chord went no further than `last`.

    A chord of which evidence is left, and no cause, has recovered.
    """
    if chord.verdicts or chord.state != last.state or chord.counted > last.counted:
        return False
    erased = last.evidence_expires_at is not None and chord.evidence_expires_at is None
    return erased or chord.state in FINISHED
