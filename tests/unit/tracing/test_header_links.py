"""Which run of a header task a callback is linked to, and in what order."""

from __future__ import annotations

from chordwatch.model import Attempt, HeaderTask
from chordwatch.tracing.header_links import runs_to_link


def task(task_id: str, *attempts: Attempt, state: str = "succeeded", took: float = 1.0) -> HeaderTask:
    return HeaderTask(
        index=0,
        task_id=task_id,
        state=state,  # type: ignore[arg-type]
        published_at=10.0,
        started_at=10.0,
        finished_at=10.0 + took,
        attempts=attempts or (run(0),),
    )


def run(attempt: int, state: str = "succeeded") -> Attempt:
    return Attempt(attempt=attempt, state=state, started_at=10.0)  # type: ignore[arg-type]


def test_those_in_trouble_come_first_and_then_the_slowest() -> None:
    header = [
        task("quick", took=1),
        task("slow", took=5),
        task("failed", state="failed", took=2),
        task("retried", run(0, "retrying"), run(1), took=3),
    ]
    assert [each.task_id for each in runs_to_link(header)] == ["retried", "failed", "slow", "quick"]


def test_a_task_that_no_worker_began_has_no_span() -> None:
    header = [HeaderTask(index=0, task_id="revoked", state="revoked"), HeaderTask(index=1), task("ran")]
    assert [each.task_id for each in runs_to_link(header)] == ["ran"]


def test_the_last_attempt_is_the_one_that_counts() -> None:
    [last] = runs_to_link([task("x", run(0, "retrying"), run(1, "retrying"), run(2))])
    assert last[1:] == (2, 0, False)


def test_an_attempt_that_comes_twice_was_delivered_again() -> None:
    [last] = runs_to_link([task("x", run(0, "started"), run(0))])
    assert last[1:] == (0, 0, True)


def test_after_a_replacement_the_same_attempt_is_another_one() -> None:
    [last] = runs_to_link([task("x", run(0, "ignored"), run(0, "ignored"), run(0, "retrying"), run(1))])
    assert last[1:] == (1, 2, False)
