from __future__ import annotations

import json
from dataclasses import replace

import pytest

from chordwatch.evidence.facts import ChordEvidence, Place, Unlock
from chordwatch.model import Attempt, Chord, HeaderTask
from chordwatch.recording.signatures import Body
from chordwatch.store.protocol import RecordedChord
from chordwatch.watch.look import Sighting
from chordwatch.watch.unsent import carrying_nothing, polled_and_carrying_nothing, without_unsent
from tests.unit.seen import BODY, NOW, evidence, header_task, in_queue, keys, message, open_chord

NOWHERE, UNKNOWN = Place(kind="nowhere"), Place(kind="unknown")


def sighted(part: HeaderTask, place: Place = NOWHERE, **chord: str) -> Sighting:
    return Sighting(
        chord=open_chord(header=(header_task(0, counted=True, state="succeeded"), part), **chord),
        places={"h1": place},
    )


def place(sighting: Sighting, *carriers: str, all_told: bool = True, stored: tuple[str, ...] = ()) -> Place:
    found = without_unsent(sighting, stored, frozenset(carriers), all_told=all_told)
    return found.places["h1"]


def test_a_part_that_nobody_saw_sent_may_be_carried_by_a_running_task() -> None:
    assert place(sighted(header_task(1)), "stranger") == UNKNOWN


def test_it_is_nowhere_where_no_task_runs_that_could_carry_it() -> None:
    assert place(sighted(header_task(1))) == NOWHERE
    assert place(sighted(header_task(1)), "h0", "body") == NOWHERE


def test_workers_that_did_not_tell_may_run_one() -> None:
    assert place(sighted(header_task(1)), all_told=False) == UNKNOWN


@pytest.mark.parametrize(
    "sent",
    [
        header_task(1, published_at=NOW - 5),
        header_task(1, state="retrying"),
        header_task(1, attempts=(Attempt(attempt=0, state="received", received_at=NOW - 5),)),
    ],
    ids=["published", "retrying", "received"],
)
def test_a_part_that_was_sent_is_carried_by_nobody(sent: HeaderTask) -> None:
    assert place(sighted(sent), "stranger", all_told=False) == NOWHERE


def test_a_part_with_a_result_was_sent() -> None:
    assert place(sighted(header_task(1)), "stranger", stored=("h1",)) == NOWHERE


def test_what_is_somewhere_stays_there() -> None:
    assert place(sighted(header_task(1), in_queue()), "stranger") == in_queue()


def test_a_finished_chord_waits_for_nothing() -> None:
    assert place(sighted(header_task(1), state="failed"), "stranger") == NOWHERE


def flat(**body: bool) -> tuple[Chord, ChordEvidence]:
    seen = message(1, body=replace(BODY, **body))
    return open_chord(), evidence(keys(size=2), seen)


def test_the_parts_of_a_chord_after_which_nothing_follows_carry_nothing() -> None:
    chord, met = flat()

    assert carrying_nothing([(chord, met, None)]) == {"h0", "h1"}


def test_those_of_one_inside_a_chain_or_another_chord_may() -> None:
    chord, met = flat(carries=True)

    assert carrying_nothing([(chord, met, None)]) == set()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, {"h0", "h1"}),
        ({"chord": None, "chain": []}, {"h0", "h1"}),
        ({"chain": [{"task": "zoo.add", "options": {}}]}, set()),
        ({"chord": {"task": "zoo.collect", "options": {}}}, set()),
    ],
)
def test_a_kept_signature_tells_it_as_well(options: dict[str, object], found: set[str]) -> None:
    signature = json.dumps({"task": "zoo.collect", "options": {"task_id": "body", **options}}).encode()
    known = RecordedChord(chord=open_chord(), signature=signature)

    assert carrying_nothing([(known.chord, None, known)]) == found


@pytest.mark.parametrize("signature", [None, b"no json", b"\xff"])
def test_what_a_chord_of_unknown_callback_carries_is_not_known(signature: bytes | None) -> None:
    known = RecordedChord(chord=open_chord(), signature=signature)

    assert carrying_nothing([(known.chord, None, known)]) == set()


@pytest.mark.parametrize(
    ("body", "found"), [(BODY, {"h0"}), (replace(BODY, carries=True), set()), (None, set())]
)
def test_the_message_that_polls_tells_it_as_well(body: Body | None, found: set[str]) -> None:
    unlock = Unlock(chord_id="group", task_id="poll", queue="celery", header=("h0",), body=body)

    assert polled_and_carrying_nothing([unlock]) == found
