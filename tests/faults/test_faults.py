"""Every cause that can be brought about for real: what is said of it with instrumented processes, and without any."""

from __future__ import annotations

import pytest

from chordwatch.diagnosis.causes import CAUSES
from chordwatch.watch import Sighting
from tests.faults.bench import Mode
from tests.faults.cases import CASES, SCENES, Case
from tests.faults.runs import Outcome, Runs

IN_ORDER = sorted(CASES, key=lambda case: list(SCENES).index(case.scene))
#: So many are named at the most where the evidence does not separate them.
CANDIDATES = 5

pytestmark = pytest.mark.faults


def by_name(case: Case) -> str:
    """Return how pytest calls a case."""
    return case.name


@pytest.mark.parametrize("mode", ["instrumented"])
@pytest.mark.parametrize("case", IN_ORDER, ids=by_name)
def test_the_first_verdict_is_the_cause(case: Case, mode: Mode, runs: Runs) -> None:
    outcome = runs.outcome(case, mode)
    sighting = sighted(outcome)
    first = next(iter(sighting.chord.verdicts), None)

    assert sighting.chord.instrumented
    assert (first.cause if first else None) == case.instrumented, told(sighting)
    if first:
        assert first.certain is case.certain, told(sighting)
        assert culprit_of(case, outcome) in (None, *first.tasks), told(sighting)
        assert first.summary
        assert first.evidence
        assert first.remedy
    assert_health(case, sighting)


@pytest.mark.parametrize("mode", ["bare"])
@pytest.mark.parametrize("case", IN_ORDER, ids=by_name)
def test_the_cause_is_named_and_none_that_the_evidence_excludes(case: Case, mode: Mode, runs: Runs) -> None:
    outcome = runs.outcome(case, mode)
    if case.bare is None and outcome.failure is None and outcome.sighting is None:
        return
    sighting = sighted(outcome)
    named = [verdict.cause for verdict in sighting.chord.verdicts]
    guesses = [verdict for verdict in sighting.chord.verdicts if not verdict.certain]

    if case.bare:
        assert case.bare in named, told(sighting)
    assert set(named) <= {case.bare} | case.beside, told(sighting)
    assert len(guesses) <= CANDIDATES, told(sighting)
    assert all(guess.question for guess in guesses), told(sighting)
    assert_health(case, sighting)


def assert_health(case: Case, sighting: Sighting) -> None:
    """Assert that the chord is as bad as the worst that is said of it, and finished where it is."""
    healths = {"succeeded": "done", "failed": "failed"}
    outcomes = {verdict.outcome for verdict in sighting.chord.verdicts}
    state = sighting.chord.state
    expected = {healths[state]} if state in healths else outcomes or {"ok"}

    # What is guessed to have failed is open all the same.
    guessed = state == "open" and any(not verdict.certain for verdict in sighting.chord.verdicts)
    assert state == case.state or guessed, told(sighting)
    assert sighting.chord.health in expected, told(sighting)
    assert all(verdict.cause in CAUSES for verdict in sighting.chord.verdicts)


def culprit_of(case: Case, outcome: Outcome) -> str | None:
    """Return the id of the task that is at fault."""
    assert outcome.sent
    if case.culprit == "callback":
        return outcome.sent.callback_id
    return outcome.sent.header[case.culprit] if isinstance(case.culprit, int) else None


def sighted(outcome: Outcome) -> Sighting:
    """Return what was said of a chord; fail where the fault could not be brought about, or nothing was said."""
    if outcome.failure:
        raise AssertionError(f"not brought about: {outcome.failure!r}") from outcome.failure
    assert outcome.sighting, f"no chord found for {outcome.sent}"
    return outcome.sighting


def told(sighting: Sighting) -> str:
    """Return what was said and seen of a chord, for a failed test."""
    chord = sighting.chord
    lines = [f"{chord.chord_id} {chord.state} {chord.health}, {chord.counted} of {chord.size}"]
    for verdict in chord.verdicts:
        lines.append(f"  {verdict.cause} certain={verdict.certain} {verdict.tasks}: {verdict.summary}")
        lines += [f"    {line}" for line in verdict.evidence]
    for task in (*chord.header, chord.callback):
        lines.append(f"  {task} {sighting.places.get(task.task_id or '')}")
    return "\n".join(lines)
