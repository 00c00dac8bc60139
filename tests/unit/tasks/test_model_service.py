from __future__ import annotations

import json

import pytest

from tasks import model_service
from tasks.model_service import Attempts, read_question, trouble


@pytest.mark.parametrize(
    ("scenario", "stage", "statuses", "slow"),
    [
        ("happy", "embed", [200, 200, 200], 0),
        ("flaky", "embed", [500, 500, 200], 0),
        ("slow", "embed", [200, 200, 200], 2),
        ("down", "preprocess", [503, 503, 503], 0),
        ("partial_fail", "preprocess", [200, 200, 200], 0),
        ("partial_fail", "embed", [500, 500, 500], 0),
        ("partial_fail", "classify", [200, 200, 200], 0),
    ],
)
def test_a_scenario_decides_what_goes_wrong(
    scenario: str, stage: str, statuses: list[int], slow: int
) -> None:
    answers = [trouble(scenario, stage, attempt) for attempt in (1, 2, 3)]

    assert [status for status, _ in answers] == statuses
    assert [seconds for _, seconds in answers if seconds] == [model_service.SLOW_SECONDS] * slow


def test_attempts_are_counted_by_request() -> None:
    attempts = Attempts()

    assert [attempts.count(request) for request in ("a", "b", "a", "a")] == [1, 1, 2, 3]


def test_the_count_of_the_oldest_request_is_forgotten_first() -> None:
    attempts = Attempts(limit=2)
    for request in ("a", "b", "a", "c"):
        attempts.count(request)

    assert attempts.count("a") == 3
    assert attempts.count("b") == 1


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ([], "request_id, scenario, stage, text"),
        ({"stage": "embed", "request_id": "1", "text": "x"}, "scenario"),
        ({"stage": "embed", "request_id": 1, "text": "x", "scenario": "happy"}, "request_id"),
        ({"stage": "guess", "request_id": "1", "text": "x", "scenario": "happy"}, "unknown stage 'guess'"),
        ({"stage": "embed", "request_id": "1", "text": "x", "scenario": "windy"}, "unknown scenario"),
    ],
)
def test_nonsense_is_refused_with_the_reason(question: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_question(json.dumps(question).encode())


def test_the_same_text_gets_the_same_answer() -> None:
    assert model_service.answer("preprocess", "  Hello  World ") == {"text": "hello world"}
    assert model_service.answer("embed", "x") == model_service.answer("embed", "x")
    assert model_service.answer("classify", "x")["label"] in model_service.LABELS
