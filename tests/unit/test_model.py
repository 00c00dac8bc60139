from __future__ import annotations

import json

import pytest

from chordwatch.diagnosis.causes import CAUSES
from chordwatch.model import (
    OUTCOMES,
    Attempt,
    ChordState,
    Errback,
    Health,
    Outcome,
    Verdict,
    health_of,
    to_json,
)
from tests.unit.seen import header_task, open_chord


def verdict(outcome: Outcome) -> Verdict:
    return Verdict(
        cause="queued",
        outcome=outcome,
        certain=True,
        tasks=("h1",),
        summary="s",
        evidence=("e",),
        remedy="r",
        docs="d",
    )


@pytest.mark.parametrize(
    ("outcomes", "health"),
    [
        ((), "ok"),
        (("ok",), "ok"),
        (("ok", "waiting"), "waiting"),
        (("waiting", "late"), "late"),
        (("late", "failed"), "failed"),
        (("failed", "looping"), "looping"),
        (("looping", "hung", "ok"), "hung"),
        (OUTCOMES, "hung"),
    ],
)
def test_an_open_chord_is_as_well_as_its_worst_verdict(outcomes: tuple[Outcome, ...], health: Health) -> None:
    assert health_of("open", tuple(map(verdict, outcomes))) == health


@pytest.mark.parametrize(
    ("state", "health"), [("succeeded", "done"), ("failed", "failed"), ("aborted", "failed")]
)
def test_a_finished_chord_keeps_its_health_whatever_the_verdicts(state: ChordState, health: Health) -> None:
    assert health_of(state, (verdict("hung"),)) == health
    assert health_of(state, ()) == health


CHORD_KEYS = (
    "chord_id state health size counted missing callback header errbacks verdicts opened_at progressed_at "
    "finished_at evidence_expires_at root_id parent_id namespace version instrumented"
)
CALLBACK_KEYS = "task_id name state queue worker attempt published_at started_at finished_at error"
HEADER_KEYS = (
    "index task_id name state queue worker attempt published_at started_at finished_at counted error attempts"
)
ATTEMPT_KEYS = "attempt state worker published_at received_at started_at finished_at error"
VERDICT_KEYS = "cause outcome certain tasks summary evidence remedy question since recovers_at docs"


def test_the_json_of_a_chord_has_the_keys_of_the_contract_in_their_order() -> None:
    chord = open_chord(
        header=(header_task(0, attempts=(Attempt(attempt=0),)),),
        errbacks=(Errback(task_id="e"),),
        verdicts=(verdict("hung"),),
    )

    document = json.loads(json.dumps(to_json(chord, header=True)))

    assert list(document) == CHORD_KEYS.split()
    assert list(document["callback"]) == CALLBACK_KEYS.split()
    assert list(document["header"][0]) == HEADER_KEYS.split()
    assert list(document["header"][0]["attempts"][0]) == ATTEMPT_KEYS.split()
    assert list(document["missing"][0]) == ["index", "task_id", "name"]
    assert list(document["errbacks"][0]) == ["task_id", "name", "state"]
    assert list(document["verdicts"][0]) == VERDICT_KEYS.split()


def test_the_json_of_a_list_leaves_the_header_out_and_nothing_else() -> None:
    chord = open_chord()

    assert list(to_json(chord, header=False)) == [key for key in CHORD_KEYS.split() if key != "header"]


def test_outcomes_stand_worst_first() -> None:
    assert OUTCOMES == ("hung", "looping", "failed", "late", "waiting", "ok")


def test_every_cause_has_an_outcome_a_remedy_and_a_place_in_the_docs() -> None:
    for cause in CAUSES.values():
        assert cause.outcome in OUTCOMES
        assert cause.remedy.endswith(".")
        assert cause.docs == f"docs/causes.md#{cause.id}"
