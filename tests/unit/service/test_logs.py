"""One line per change, for people and for programs, whatever the names hold."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from typing import Any

import pytest

from chordwatch.model import Callback
from chordwatch.service.changes import Change, document
from chordwatch.service.logs import JsonLines, begin_log, log_change
from tests.unit.cli.rendered import NAMES, verdict
from tests.unit.seen import NOW, open_chord

HOSTILE = (*NAMES, "one\r\ntwo", '"} {"event": "recovered"', "\x1b]0;title\x07")
LOST = verdict(cause="worker_lost", certain=True, summary="w1@zoo is gone.")


def found(**fields: Any) -> Change:
    chord = open_chord(verdicts=(LOST,))
    return Change(**{"at": NOW, "chord": chord, "cause": "worker_lost", "verdict": LOST, **fields})


def logged(change: Change, caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    with caplog.at_level(logging.INFO):
        log_change(change)
    (record,) = caplog.records
    return record


def test_a_verdict_is_one_line_for_people(caplog: pytest.LogCaptureFixture) -> None:
    record = logged(found(), caplog)

    assert record.name == "chordwatch.monitor"
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "chord group (callback zoo.collect): hung, worker_lost: w1@zoo is gone."


def test_doubt_is_said(caplog: pytest.LogCaptureFixture) -> None:
    message = logged(found(verdict=verdict(summary="Perhaps.")), caplog).getMessage()

    assert message.endswith("Perhaps. (not certain)")


@pytest.mark.parametrize(
    ("chord", "end"),
    [
        (open_chord(), "recovered from worker_lost"),
        (open_chord(state="succeeded"), "recovered from worker_lost, succeeded"),
        (open_chord(verdicts=(verdict(),)), "recovered from worker_lost, still hung: queue_unconsumed"),
    ],
    ids=["goes on", "ended", "another cause"],
)
def test_a_recovery_is_one_line_for_people(chord: Any, end: str, caplog: pytest.LogCaptureFixture) -> None:
    record = logged(found(chord=chord, verdict=None), caplog)

    assert record.levelno == logging.INFO
    assert record.getMessage() == f"chord group (callback zoo.collect): {end}"


def test_a_verdict_is_one_object_for_programs(caplog: pytest.LogCaptureFixture) -> None:
    record = logged(found(), caplog)

    assert json.loads(JsonLines().format(record)) == {
        "time": record.created,
        "event": "verdict",
        "chord_id": "group",
        "callback": "zoo.collect",
        "cause": "worker_lost",
        "outcome": "hung",
        "summary": "w1@zoo is gone.",
        "certain": True,
    }


def test_a_recovery_is_one_object_for_programs(caplog: pytest.LogCaptureFixture) -> None:
    line = json.loads(JsonLines().format(logged(found(verdict=None, chord=open_chord()), caplog)))

    assert line["event"] == "recovered"
    assert (line["cause"], line["outcome"], line["certain"]) == ("worker_lost", None, None)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_stay_on_their_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    hostile = verdict(cause="worker_lost", summary=name)
    chord = open_chord(chord_id=name, callback=Callback(name=name))
    record = logged(found(chord=chord, verdict=hostile), caplog)
    text, line = record.getMessage(), JsonLines().format(record)

    assert text.isprintable()
    assert len(text) < 1100
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["event"] == "verdict"
    assert all(value.isprintable() for value in json.loads(line).values() if isinstance(value, str))


def test_everything_else_is_an_object_too() -> None:
    try:
        int("no\nway")
    except ValueError:
        info = sys.exc_info()
    record = logging.LogRecord("some.where", logging.ERROR, "", 1, "A %s\nfailed.", ("look",), info)
    text = JsonLines().format(record)
    line = json.loads(text)

    assert "\n" not in text
    assert (line["event"], line["level"], line["logger"]) == ("log", "ERROR", "some.where")
    assert line["message"] == "A look\nfailed."
    assert "ValueError" in line["traceback"]


def test_a_warning_of_python_is_an_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    root, shown = logging.getLogger(), warnings.showwarning
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        begin_log("json")
        with warnings.catch_warnings():  # which pytest makes errors
            warnings.simplefilter("always")
            warnings.warn_explicit("Received several.", UserWarning, "some\nwhere.py", 3)
        line = json.loads(capsys.readouterr().err)
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:], warnings.showwarning = handlers, shown
        root.setLevel(level)

    assert (line["event"], line["level"], line["logger"]) == ("log", "WARNING", "py.warnings")
    assert "Received several." in line["message"]


def test_the_document_holds_the_chord_without_its_header_and_the_verdict() -> None:
    sent = document(found())

    assert (sent["event"], sent["cause"], sent["at"]) == ("verdict", "worker_lost", NOW)
    assert sent["verdict"] == sent["chord"]["verdicts"][0]
    assert sent["verdict"]["evidence"]
    assert "header" not in sent["chord"]
    assert document(found(verdict=None, chord=open_chord()))["verdict"] is None


def test_the_document_is_bounded() -> None:
    many = verdict(cause="worker_lost", tasks=tuple(map(str, range(10_000))))

    assert len(json.dumps(document(found(verdict=many, chord=open_chord(verdicts=(many,)))))) < 10_000
