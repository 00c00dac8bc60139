from __future__ import annotations

from typing import Any

import pytest

from chordwatch.evidence.workers import _QUESTIONS, _workers


def answers(**of_one: Any) -> dict[str, dict[str, Any]]:
    return {question: {"w1@zoo": []} for question in _QUESTIONS} | of_one


def test_a_worker_that_answers_every_question_tells_all_its_tasks() -> None:
    (worker,) = _workers(answers(), 100.0)

    assert (worker.hostname, worker.told_tasks) == ("w1@zoo", True)


@pytest.mark.parametrize("question", ["active", "reserved", "scheduled"])
def test_one_that_leaves_a_question_about_tasks_unanswered_does_not(question: str) -> None:
    (worker,) = _workers(answers(**{question: {}}), 100.0)

    assert not worker.told_tasks
