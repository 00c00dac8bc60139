"""A report is pasted into public tickets: no sentence of it may hold the text of an error, whoever's it was."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from celery import Celery

import chordwatch.diagnosis.rules
from chordwatch.board.report import report_of
from chordwatch.board.unquoted import unquoted
from chordwatch.diagnosis import Case, diagnose
from chordwatch.evidence.facts import Place, TaskMeta
from chordwatch.model import Attempt, Callback, Chord, HeaderTask, MissingPart
from chordwatch.store.protocol import RecordedChord
from chordwatch.watch import Sighting
from tests.unit.judged import NOWHERE, alive, callback, case, told
from tests.unit.seen import NOW, consumers, header_task, keys, meta, open_chord, part

SECRET = "card 4111 of 10.0.0.7 s3cret"
#: What an error may be: its text goes on over lines, is long, speaks as a sentence does, has no type.
TEXTS = (
    f"ValueError: {SECRET}",
    f"boom: {SECRET}",
    f"E: {SECRET}",
    f"shop.errors.Refused: {SECRET}",
    f"ValueError: a\n{SECRET}\nb: c",
    f"ValueError: {SECRET} " + "x" * 150,
    f"ValueError: ok; the callback did not run. {SECRET}",
    f"ValueError: it ended with KeyError: {SECRET}, and is not counted. {SECRET})",
    f"ValueError({SECRET!r})",
    f"Größe: {SECRET}",
    f"2 of {SECRET}",
    SECRET,
    f"(also {SECRET})",
)


def part_that(state: str, error: str, **fields: object) -> HeaderTask:
    """Return a counted part of a chord that ended so."""
    return header_task(
        1, counted=True, state=state, error=error, worker="w1@zoo", finished_at=NOW - 5, **fields
    )


def counted(state: str, error: str) -> Case:
    return case({}, chord=open_chord(header=(part_that(state, error),), counted=2, missing=()))


def run_that(state: str, error: str, *, started_at: float | None = None) -> Case:
    """Return the case of a recorded part that ended so and was not counted."""
    run = Attempt(
        attempt=0,
        state=state,  # type: ignore[arg-type]  # one of them
        worker="w1@zoo",
        received_at=NOW - 50,
        started_at=started_at,
        finished_at=NOW - 40,
        error=error,
    )
    part = header_task(1, state=state, error=error, worker="w1@zoo", finished_at=NOW - 40, attempts=(run,))
    return told({"h1": NOWHERE}, part)


def of_callback(state: str, error: str) -> Case:
    body = callback(state=state, error=error, finished_at=NOW - 5)
    return case({}, chord=open_chord(state="failed", callback=body))


def stray(error: str, at: float = NOW - 60) -> TaskMeta:
    return meta("x", state="failed", error_type=error.partition(":")[0], error=error, finished_at=at)


def of_nobodys_callback(error: str) -> Case:
    chord = open_chord(callback=Callback(), counted=2, missing=())
    done = keys(claim="done", dispatched_at=NOW - 60)
    return case({}, chord=chord, keys=done, strays=(stray(error),), nameless_since=NOW - 2)


def candidate(error: str) -> Case:
    header = (header_task(0, counted=True, state="succeeded", finished_at=NOW - 90),)
    chord = open_chord(header=header, missing=(MissingPart(index=1),), progressed_at=NOW - 90)
    counts = keys(size=2, parts=(part(0),))
    who = consumers(alive())
    strays = (stray(error, NOW - 5),)
    return case({}, who, chord=chord, keys=counts, nameless_since=NOW - 5, strays=strays)


def nested(error: str) -> Case:
    result = meta("h1", state="failed", error_type="ChordError", error=f"ChordError: {error}")
    counts = keys(size=2, parts=(part(0),))
    return case({"h1": NOWHERE}, metas={"h1": result}, related={"h1": inner(error)}, keys=counts)


def inner(error: str) -> Chord:
    culprit = header_task(1, task_id="i1", name="zoo.boom", state="failed", error=error)
    return open_chord(
        chord_id="inner", state="failed", callback=callback(task_id="h1", state="failed"), header=(culprit,)
    )


def nested_bare(error: str) -> Case:
    return replace(nested(error), metas={}, nowhere_since={"h1": NOW - 5})


def blocked(error: str) -> Case:
    chord = open_chord(
        chord_id="inner", callback=callback(task_id="h1"), header=(part_that("failed", error),)
    )
    judged = replace(chord, verdicts=diagnose(case({}, chord=chord)))
    return case({"h1": NOWHERE}, related={"h1": judged})


def upstream(error: str) -> Case:
    before = HeaderTask(
        index=None, task_id="a1", name="zoo.fetch", state="failed", error=error, finished_at=NOW
    )
    return case({}, chord=open_chord(state="planned"), upstream=before)


def dispatched(error: str) -> Case:
    chord = open_chord(header=(header_task(0, counted=True, state="succeeded"),), size=None)
    known = RecordedChord(chord=chord, applied=1, dispatch_error=(NOW - 30, error))
    return case({"h1": Place(kind="active", name="w1@zoo", since=NOW - 3)}, chord=chord, recorded=known)


#: By cause: a case of it with an error, and what must be before the error's text for it to be that cause.
QUOTING: dict[str, tuple[Callable[[str], Case], str]] = {
    "header_failed": (lambda error: counted("failed", error), ""),
    "worker_child_lost": (lambda error: counted("failed", error), "WorkerLostError: "),
    "header_expired": (lambda error: counted("revoked", error), "TaskRevokedError: expired"),
    "header_revoked": (lambda error: counted("revoked", error), ""),
    "callback_failed": (lambda error: of_callback("failed", error), ""),
    "callback_revoked": (lambda error: of_callback("revoked", error), ""),
    "callback_signature_mismatch": (
        lambda error: of_callback("failed", error),
        "ChordError: Callback error: TypeError",
    ),
    "callback_publish_refused": (lambda error: of_callback("failed", error), "ChordError: Callback error: "),
    "callback_unregistered": (lambda error: of_callback("failed", error), "NotRegistered: "),
    "header_unregistered": (lambda error: run_that("failed", error), "NotRegistered: "),
    "header_undecodable": (lambda error: run_that("rejected", error), ""),
    "backend_write_failed": (lambda error: run_that("failed", error, started_at=NOW - 45), ""),
    "partial_dispatch": (dispatched, ""),
    "nested_chord_failed": (nested, ""),
    "upstream_failed": (upstream, ""),
    "blocked_by_chord": (blocked, ""),
}
CASES = [
    *((cause, there, before) for cause, (there, before) in QUOTING.items()),
    ("nested_chord_failed", nested_bare, ""),
    ("callback_signature_mismatch", of_nobodys_callback, "ChordError: Callback error: TypeError("),
    ("callback_publish_refused", of_nobodys_callback, "ChordError: Callback error: "),
    ("callback_unregistered", of_nobodys_callback, "NotRegistered: "),
    ("header_unregistered", candidate, "NotRegistered: "),
    ("nested_chord_failed", candidate, "ChordError: Dependency x raised "),
]


@pytest.mark.parametrize(("cause", "there", "before"), CASES)
@pytest.mark.parametrize("text", TEXTS)
def test_no_error_of_any_chord_is_told_by_its_text(
    cause: str, there: Callable[[str], Case], before: str, text: str
) -> None:
    found = there(before + text)
    verdicts = [verdict for verdict in diagnose(found) if verdict.cause == cause]
    seen = Sighting(chord=replace(found.chord, verdicts=tuple(verdicts)), places=found.places)
    app = Celery("project", broker="redis://", backend="redis://", set_as_current=False)

    report = report_of(seen, (), app).replace("\\", "")

    assert verdicts
    assert f"### {cause} (" in report
    for piece in ("4111", "s3cret", "10.0.0.7", "card"):
        assert piece not in report


RULES = Path(chordwatch.diagnosis.rules.__file__).parent
#: Functions that quote an error, or prepare it to be quoted: each is behind a case above.
QUOTERS = {
    "_end_line",
    "_inner_lines",
    "_reason",
    "_refused_line",
    "_stray",
    "backend_write_failed",
    "callback_failed",
    "callback_publish_refused",
    "callback_revoked",
    "callback_signature_mismatch",
    "callback_unregistered",
    "header_failed",
    "header_undecodable",
    "partial_dispatch",
    "upstream_failed",
}


def test_every_rule_that_quotes_an_error_has_a_case_here() -> None:
    """Who quotes one in a new sentence adds it to `unquoted` and to `QUOTING`."""
    found = {
        function.name
        for file in RULES.glob("*.py")
        for function in ast.walk(ast.parse(file.read_text()))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "plain"
        and "error" in ast.unparse(node.args[0])
    }

    assert found == QUOTERS


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        (
            "zoo.add failed with ValueError: a; b.; the callback will not run.",
            "zoo.add failed with ValueError; the callback will not run.",
        ),
        (
            "The process that ran zoo.add on w1@zoo died (Worker exited: 9.); the callback did not run.",
            "The process that ran zoo.add on w1@zoo died (WorkerLostError); the callback did not run.",
        ),
        (
            "zoo.add (index 1) h1 has the result ChordError: Dependency i1 raised ValueError('x'), and is not counted.",
            "zoo.add (index 1) h1 has the result ChordError, and is not counted.",
        ),
        (
            "The callback zoo.collect could not be published: OperationalError('refused').",
            "The callback zoo.collect could not be published: OperationalError.",
        ),
        (
            "The worker could not read the message and threw it away (ContentDisallowed: no (pickle)).",
            "The worker could not read the message and threw it away (ContentDisallowed).",
        ),
        ("zoo.add h1 ended on w1@zoo with failed.", "zoo.add h1 ended on w1@zoo with failed."),
        ("Quoted elsewhere, as in (OSError: /home/x).", "Quoted elsewhere, as in (OSError)."),
        (
            "A type that was cut ended with " + "V" * 119 + "….",
            "A type that was cut ended with " + "V" * 119 + ".",
        ),
    ],
)
def test_the_type_and_what_we_say_after_it_are_kept(sentence: str, told: str) -> None:
    assert unquoted(sentence) == told


@pytest.mark.parametrize(
    "sentence",
    [
        "All 3 parts are counted, and the callback was never sent: the process that was to send it died.",
        "Online at 2026-11-20 15:44:09 UTC: w1@zoo (reads celery).",
        "zoo.add (index 1) h1 started 2 times: on w1@zoo, on w2@zoo.",
        "The broker: FLUSHDB ran once.",
        "1 task of the header raised Ignore(): Celery does not count a task that is ignored.",
    ],
)
def test_what_quotes_no_error_stays_as_it_is(sentence: str) -> None:
    assert unquoted(sentence) == sentence
