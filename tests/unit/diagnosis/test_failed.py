from __future__ import annotations

from typing import Any

import pytest

from chordwatch.diagnosis import diagnose
from chordwatch.evidence.facts import TaskMeta
from chordwatch.model import Callback, HeaderTask, Verdict
from tests.unit.judged import callback, case, causes, said
from tests.unit.seen import NOW, header_task, keys, meta, open_chord


def failed(number: int, error: str = "ValueError: header boom", **fields: Any) -> HeaderTask:
    usual = {"counted": True, "state": "failed", "error": error, "finished_at": NOW - 9}
    return header_task(number, **{**usual, **fields})


def verdicts(**fields: Any) -> tuple[Verdict, ...]:
    return diagnose(case({}, chord=open_chord(**fields)))


def named(**fields: Any) -> list[str]:
    return [verdict.cause for verdict in verdicts(**fields)]


def test_a_counted_part_that_raised_decides_the_chord() -> None:
    (verdict,) = verdicts(header=(failed(0), header_task(1)))

    assert (verdict.cause, verdict.outcome, verdict.tasks, verdict.certain) == (
        "header_failed",
        "failed",
        ("h0",),
        True,
    )
    assert verdict.summary == "zoo.add failed with ValueError: header boom; the callback will not run."
    assert verdict.since == NOW - 9


def test_a_finished_chord_tells_what_failed_as_well() -> None:
    (verdict,) = verdicts(state="failed", header=(failed(0), header_task(1)))

    assert verdict.summary.endswith("; the callback did not run.")


@pytest.mark.parametrize(
    "header",
    [
        (header_task(0, counted=True, state="succeeded"),),
        (failed(0, counted=False),),
        (failed(0, state="revoked"),),
        (failed(0, "WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL) Job: 1."),),
        (failed(0, "TaskRevokedError: revoked"),),
    ],
)
def test_a_part_that_ended_otherwise_is_no_failed_header(header: tuple[HeaderTask, ...]) -> None:
    assert "header_failed" not in named(header=header)


def test_a_chord_that_succeeded_has_no_failed_header() -> None:
    assert named(state="succeeded", header=(failed(0),)) == []


def test_many_failed_parts_are_counted_and_five_are_named() -> None:
    (verdict,) = verdicts(header=tuple(failed(number) for number in range(8)))

    assert len(verdict.tasks) == 8
    assert len(verdict.evidence) == 6
    assert verdict.evidence[-1] == "And 3 more."


def test_a_callback_that_raised_is_to_blame() -> None:
    raised = callback(state="failed", error="RuntimeError: body boom", finished_at=NOW - 1)

    (verdict,) = verdicts(state="failed", callback=raised)

    assert (verdict.cause, verdict.outcome, verdict.tasks) == ("callback_failed", "failed", ("body",))
    assert verdict.summary == "The callback zoo.collect failed with RuntimeError: body boom."
    assert "chords results group." in verdict.remedy
    assert verdict.since == NOW - 1


@pytest.mark.parametrize(
    "body",
    [
        Callback(task_id="body", state="succeeded"),
        Callback(task_id="body", state="started"),
        Callback(task_id="body", state="failed", error="ChordError: Dependency h1 raised ValueError('x')"),
        Callback(task_id="body", state="failed", error="NotRegistered: 'zoo.body'"),
    ],
)
def test_a_callback_that_did_not_raise_itself_is_not_to_blame(body: Callback) -> None:
    assert "callback_failed" not in named(state="failed", callback=body)


LOST = "WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL) Job: 1."


def test_a_process_that_died_is_told_from_a_task_that_raised() -> None:
    (verdict,) = verdicts(header=(failed(0, LOST, worker="w1@zoo"), header_task(1)))

    assert (verdict.cause, verdict.outcome, verdict.tasks, verdict.certain) == (
        "worker_child_lost",
        "failed",
        ("h0",),
        True,
    )
    assert verdict.summary == (
        "The process that ran zoo.add on w1@zoo died (Worker exited prematurely: signal 9 (SIGKILL) Job: 1.); "
        "the callback will not run."
    )
    assert verdict.evidence == (
        f"zoo.add (index 0) h0 ended on w1@zoo at 2026-11-20 15:44:00 UTC with {LOST}.",
    )
    assert "worker_max_memory_per_child" in verdict.remedy
    assert verdict.since == NOW - 9


@pytest.mark.parametrize(
    "header",
    [(failed(0, LOST, counted=False),), (failed(0),), (failed(0, LOST, state="revoked"),)],
)
def test_a_part_that_ended_otherwise_lost_no_process(header: tuple[HeaderTask, ...]) -> None:
    assert "worker_child_lost" not in named(header=header)
    assert named(state="succeeded", header=(failed(0, LOST),)) == []


@pytest.mark.parametrize(
    ("error", "cause", "summary"),
    [
        ("TaskRevokedError: revoked", "header_revoked", "1 task of the header was revoked; "),
        ("TaskRevokedError: terminated", "header_revoked", "1 task of the header was terminated; "),
        ("TaskRevokedError", "header_revoked", "1 task of the header was revoked; "),
        (
            "TaskRevokedError: expired",
            "header_expired",
            "1 task of the header expired before a worker took it; ",
        ),
    ],
)
def test_what_was_revoked_and_what_expired_are_told_apart(error: str, cause: str, summary: str) -> None:
    (verdict,) = verdicts(header=(failed(0, error, state="revoked"), header_task(1)))

    assert (verdict.cause, verdict.outcome, verdict.tasks) == (cause, "failed", ("h0",))
    assert verdict.summary == summary + "the callback will not run."
    assert verdict.evidence[0].endswith(f"with {error}.")


def test_a_revoked_part_that_is_not_counted_has_ended_nothing() -> None:
    """Celery stores the result when it is revoked, and counts it when a worker takes it."""
    header = (failed(0, "TaskRevokedError: revoked", state="revoked", counted=False),)

    assert named(header=header) == []


@pytest.mark.parametrize(
    ("error", "cause", "summary"),
    [
        (
            "ChordError: Callback error: TypeError('collect() takes 0 positional arguments but 1 was given')",
            "callback_signature_mismatch",
            (
                "The callback zoo.collect cannot be called with the list of results: "
                "TypeError('collect() takes 0 positional arguments but 1 was given')."
            ),
        ),
        (
            "ChordError: Callback error: OperationalError('refused')",
            "callback_publish_refused",
            "The callback zoo.collect could not be published: OperationalError('refused').",
        ),
        (
            "NotRegistered: 'zoo.collect'",
            "callback_unregistered",
            "The callback zoo.collect is not registered on the worker that received it.",
        ),
    ],
)
def test_each_end_of_a_callback_that_never_ran_has_its_name(error: str, cause: str, summary: str) -> None:
    body = callback(state="failed", error=error, finished_at=NOW - 1)

    (verdict,) = verdicts(state="failed", callback=body)

    assert (verdict.cause, verdict.outcome, verdict.tasks, verdict.certain) == (
        cause,
        "failed",
        ("body",),
        True,
    )
    assert verdict.summary == summary
    assert error in verdict.evidence[0]
    assert verdict.since == NOW - 1


@pytest.mark.parametrize("error", ["ChordError", "ChordError: Dependency h0 raised TypeError('x')"])
def test_a_header_that_failed_is_no_fault_of_the_callback(error: str) -> None:
    assert named(state="failed", callback=callback(state="failed", error=error)) == []


def test_a_callback_that_was_revoked_fails_the_chord_while_its_header_runs() -> None:
    body = callback(state="revoked", error="TaskRevokedError: revoked", finished_at=NOW - 3)

    (verdict,) = verdicts(callback=body)

    assert (verdict.cause, verdict.outcome, verdict.tasks) == ("callback_revoked", "failed", ("body",))
    assert verdict.summary == "The callback zoo.collect is revoked: it does not run."


def test_a_callback_that_expired_says_so() -> None:
    body = callback(state="revoked", error="TaskRevokedError: expired")

    assert said(case({}, chord=open_chord(state="failed", callback=body)), "callback_revoked").summary == (
        "The callback zoo.collect has expired: it does not run."
    )


def stray(error: str, *, after: float = 0.1, task_id: str = "x") -> TaskMeta:
    kind = error.partition(":")[0]
    return meta(task_id, state="failed", error_type=kind, error=error, finished_at=NOW - 60 + after)


def nobodys(
    *strays: TaskMeta,
    body: Callback | None = None,
    sent: float | None = NOW - 60,
    nowhere: float | None = NOW - 2,
) -> Any:
    chord = open_chord(callback=body or Callback(), counted=2, missing=())
    done = keys(claim="done", dispatched_at=sent)
    return case({}, chord=chord, keys=done, strays=strays, nameless_since=nowhere)


UNCALLED = "ChordError: Callback error: TypeError('takes 0 positional arguments')"


@pytest.mark.parametrize(
    ("result", "cause"),
    [
        (stray(UNCALLED), "callback_signature_mismatch"),
        (stray("ChordError: Callback error: OperationalError('refused')"), "callback_publish_refused"),
        (stray("NotRegistered: 'zoo.collect'", after=4.0), "callback_unregistered"),
    ],
)
def test_a_result_without_a_chord_may_be_the_callbacks_that_nobody_knows(
    result: TaskMeta, cause: str
) -> None:
    verdict = said(nobodys(result), cause)

    assert (verdict.certain, verdict.tasks) == (False, ("x",))
    assert verdict.question == "Is x the callback of this chord?"
    assert "names no chord" in verdict.evidence[-1]


@pytest.mark.parametrize(
    "there",
    [
        nobodys(stray(UNCALLED), nowhere=None),  # the callback may run
        nobodys(stray(UNCALLED, after=30.0)),
        nobodys(stray(UNCALLED, after=-30.0)),
        nobodys(stray("NotRegistered: 'x'", after=30.0)),
        nobodys(stray(UNCALLED), stray(UNCALLED, task_id="y")),
        nobodys(stray(UNCALLED), sent=None),
        nobodys(stray(UNCALLED), body=Callback(task_id="body")),
    ],
)
def test_a_result_that_fits_not_or_not_alone_is_not_the_callbacks(there: Any) -> None:
    assert causes(there) == []
