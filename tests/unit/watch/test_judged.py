"""When the last verdict of a chord is shown, and when what is seen now says more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chordwatch.model import Chord
from chordwatch.store.protocol import Judgement
from chordwatch.watch import Sighting
from chordwatch.watch.judged import with_last_verdict
from tests.unit.cli.rendered import verdict
from tests.unit.seen import NOW, in_queue, open_chord

HUNG = verdict(cause="worker_lost", evidence=("w1@zoo said nothing since noon.",))
FOUND = "Found at 2026-11-20 15:44:09 UTC; what it was decided from is gone by now."


def last(**fields: Any) -> Judgement:
    usual = {"verdicts": (HUNG,), "health": "hung", "evidence_expires_at": NOW + 9}
    return Judgement(chord=open_chord(**{**usual, **fields}), at=NOW)


def shown(now: Chord | None, judgement: Judgement | None) -> Chord:
    found = with_last_verdict(Sighting(chord=now) if now else None, judgement)
    assert found
    return found.chord


def test_a_chord_that_is_gone_is_shown_as_it_was_judged() -> None:
    chord = shown(None, last())

    assert (chord.chord_id, chord.health, len(chord.header)) == ("group", "hung", 2)
    assert [v.cause for v in chord.verdicts] == ["worker_lost"]
    assert chord.verdicts[0].evidence == ("w1@zoo said nothing since noon.", FOUND)


def test_where_the_evidence_is_erased_the_last_verdict_stands_in() -> None:
    now = Sighting(chord=open_chord(), places={"h1": in_queue()})

    found = with_last_verdict(now, last())

    assert found
    assert found.places == now.places
    assert (found.chord.health, found.chord.verdicts[0].evidence[-1]) == ("hung", FOUND)


def test_a_finished_chord_keeps_its_remark_and_its_health() -> None:
    remark = verdict(cause="duplicate_delivery", outcome="ok")
    done = {"state": "succeeded", "health": "done", "counted": 2}

    chord = shown(open_chord(**done), last(**done, verdicts=(remark,), evidence_expires_at=None))

    assert (chord.health, [v.cause for v in chord.verdicts]) == ("done", ["duplicate_delivery"])


@pytest.mark.parametrize(
    "now",
    [
        open_chord(evidence_expires_at=NOW + 5),
        open_chord(counted=2),
        open_chord(state="succeeded", health="done"),
        open_chord(state="failed", health="failed"),
        open_chord(health="waiting", verdicts=(verdict(cause="queued", outcome="waiting"),)),
    ],
    ids=["its evidence is there", "it went on", "it succeeded", "it failed", "it has another verdict"],
)
def test_what_is_seen_now_says_more(now: Chord) -> None:
    assert shown(now, last()) is now


def test_evidence_that_never_expires_was_not_erased() -> None:
    now = open_chord()

    assert shown(now, last(evidence_expires_at=None)) is now


def test_without_a_judgement_nothing_changes() -> None:
    now = Sighting(chord=open_chord())

    assert with_last_verdict(now, None) is now
    assert with_last_verdict(None, None) is None


def test_a_judgement_is_not_changed_by_being_shown() -> None:
    judgement = last()

    shown(None, judgement)

    assert judgement == last()
    assert replace(judgement.chord, verdicts=()) == replace(last().chord, verdicts=())
