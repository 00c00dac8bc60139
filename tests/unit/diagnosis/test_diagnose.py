from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chordwatch.diagnosis import Case, diagnose
from chordwatch.diagnosis.causes import CAUSES
from chordwatch.diagnosis.rules import RULES
from chordwatch.evidence.facts import Place, Server
from chordwatch.model import Attempt, Callback, Chord, MissingPart
from chordwatch.store.protocol import RecordedChord
from tests.unit.judged import NOWHERE, case, causes, dead, started, told
from tests.unit.seen import NOW, W1, consumers, header_task, in_queue, keys, meta, open_chord

SCHEDULED = Place(kind="scheduled", name="w1@zoo", eta=NOW + 7200, since=NOW - 6)
FAILED = header_task(0, counted=True, state="failed", error="ValueError: header boom", finished_at=NOW - 9)


@pytest.mark.parametrize(
    "place",
    [Place(kind="nowhere"), Place(kind="unknown"), Place(kind="unacked", name="celery", since=NOW - 1)],
)
def test_what_the_evidence_does_not_explain_gets_no_verdict(place: Place) -> None:
    assert causes(case({"h1": place})) == []


def test_several_causes_stand_in_the_order_in_which_a_person_should_read_them() -> None:
    places = {
        "h1": Place(kind="active", name="w1@zoo"),
        "h2": in_queue(),
        "h3": SCHEDULED,
        "h4": replace(SCHEDULED, attempt=1),
        "h5": in_queue("nobody"),
    }

    assert causes(case(places, chord=open_chord(header=(FAILED,)))) == [
        "queue_unconsumed",
        "header_failed",
        "retry_scheduled",
        "eta_scheduled",
        "queued",
        "header_running",
    ]


def test_the_worst_comes_first_and_remarks_come_last() -> None:
    runs = tuple(
        Attempt(attempt=0, state="succeeded", worker="w1@zoo", started_at=at, finished_at=at + 1)
        for at in (NOW - 60, NOW - 50)
    )
    twice = header_task(2, state="succeeded", counted=True, attempts=runs)
    both = told(
        {"h1": NOWHERE, "h3": in_queue()},
        started(1),
        twice,
        header_task(3, state="published"),
        who=consumers(W1),
        nowhere_since={"h1": NOW - 5},
        lives={"w1@zoo": (dead(),)},
    )

    assert causes(both) == ["worker_lost", "queued", "duplicate_delivery"]


def test_a_finished_chord_hangs_nowhere() -> None:
    lost = meta("h1", group_id="group", finished_at=NOW - 500)
    chord = open_chord(state="succeeded")

    assert causes(case({"h1": NOWHERE}, chord=chord, keys=keys(size=2), metas={"h1": lost})) == []


def test_every_cause_of_the_catalogue_has_a_rule_and_every_rule_a_cause() -> None:
    assert {rule.__name__ for rule in RULES} == set(CAUSES)


HOSTILE = "x\n\x1b[31m\u202e[bold]" + "y" * 10_240


def hostile_chord() -> Chord:
    return open_chord(
        chord_id=HOSTILE,
        header=(
            header_task(0, task_id=HOSTILE + "0", name=HOSTILE, counted=True, state="failed", error=HOSTILE),
            header_task(1, task_id=HOSTILE + "1", name=HOSTILE),
        ),
        callback=Callback(task_id=HOSTILE, name=HOSTILE, state="failed", error=HOSTILE),
    )


@pytest.mark.parametrize(
    "place",
    [
        in_queue(HOSTILE),
        in_queue(HOSTILE + "read"),
        Place(kind="active", name=HOSTILE),
        Place(kind="reserved", name=HOSTILE),
        replace(SCHEDULED, name=HOSTILE),
    ],
)
@pytest.mark.parametrize("workers", [(replace(W1, hostname=HOSTILE, queues=(HOSTILE + "read",)),), ()])
def test_hostile_names_are_shortened_and_shown_literally(place: Place, workers: Any) -> None:
    found = diagnose(
        Case(
            chord=hostile_chord(),
            places={HOSTILE + "1": place, HOSTILE: place},
            consumers=consumers(*workers),
            now=NOW,
        )
    )

    assert found
    for verdict in found:
        for text in (verdict.summary, *verdict.evidence, verdict.remedy, verdict.question or ""):
            assert len(text) < 700
            assert text.isprintable()


def hostile_cases() -> list[Case]:
    """Return a case for each group of rules, with nothing in it but hostile texts."""
    h0, h1 = HOSTILE + "0", HOSTILE + "1"
    ended = {"worker": HOSTILE, "error": HOSTILE, "started_at": NOW - 60, "finished_at": NOW - 50}
    run = Attempt(attempt=0, state="ignored", **{**ended, "error": None})
    inner = open_chord(chord_id=HOSTILE, state="failed", header=(hostile_chord().header[0],))
    found = {"state": "failed", "error_type": "ChordError", "error": "ChordError: Dependency " + HOSTILE}
    lost = open_chord(
        chord_id=HOSTILE,
        header=(header_task(0, task_id=h0, name=HOSTILE, counted=True, state="succeeded", **ended),),
        callback=Callback(task_id=HOSTILE, name=HOSTILE),
        missing=(),
        counted=1,
        size=1,
        opened_at=NOW - 90,
    )
    twice = tuple(Attempt(attempt=0, state="succeeded", worker=HOSTILE, started_at=at) for at in (1.0, 2.0))
    doubled = replace(lost, header=(replace(lost.header[0], attempts=twice),), state="succeeded")
    upstream = header_task(0, task_id=h0, name=HOSTILE, state="failed", error=HOSTILE)
    ignored = header_task(1, task_id=h1, name=HOSTILE, state="ignored", attempts=(run,), worker=HOSTILE)
    missing = (MissingPart(index=1, name=HOSTILE),)
    broken = replace(open_chord(chord_id=HOSTILE, size=5, missing=missing), callback=Callback(name=HOSTILE))
    policy = Server(evicted_keys=1, maxmemory_policy=HOSTILE)
    return [
        case({}, chord=open_chord(chord_id=HOSTILE, header=(ignored,))),
        case(
            {},
            chord=open_chord(header=(header_task(1, task_id=h1),)),
            related={h1: inner},
            metas={h1: meta(h1, **found)},
        ),
        case({}, chord=open_chord(state="planned"), upstream=upstream),
        case({}, chord=lost, keys=keys(size=1), recorded=RecordedChord(chord=lost)),
        case({}, chord=lost, keys=keys(), recorded=RecordedChord(chord=lost), backend=policy),
        case({}, chord=doubled, recorded=RecordedChord(chord=doubled)),
        case({}, chord=broken, recorded=RecordedChord(chord=broken, dispatch_error=(NOW, HOSTILE))),
        case({}, chord=broken, nameless_since=NOW, keys=keys(size=5), blind=(HOSTILE,)),
    ]


@pytest.mark.parametrize("there", hostile_cases(), ids=lambda _: "")
def test_no_rule_passes_a_hostile_text_on(there: Case) -> None:
    found = diagnose(there)

    assert found
    for verdict in found:
        for text in (verdict.summary, *verdict.evidence, verdict.remedy, verdict.question or ""):
            assert len(text) < 900
            assert text.isprintable()
