from __future__ import annotations

import io
import logging
import logging.config
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

import chordwatch
from chordwatch.recording import log_filter
from tests.support.servers import ROOT, clean_environment

app = Celery("project", broker="memory://", set_as_current=False)
BODY = {"task": "collect", "args": [], "kwargs": {}, "options": {"task_id": "c1", "group_id": "g1"}}


@app.task(shared=False)
def speak(words: str) -> None:
    logging.getLogger("project.tasks").warning(words)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What a log with the three attributes looks like."""
    stream = io.StringIO()
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"chord": {"()": "chordwatch.ChordLogFilter"}},
            "formatters": {"f": {"format": "%(message)s|%(chord_id)s|%(chord_role)s|%(chord_index)s"}},
            "handlers": {
                "h": {
                    "class": "logging.StreamHandler",
                    "stream": stream,
                    "filters": ["chord"],
                    "formatter": "f",
                }
            },
            "loggers": {"project": {"handlers": ["h"], "propagate": False}},
        }
    )
    yield stream
    logging.getLogger("project").handlers.clear()
    logging.getLogger("project").propagate = True


def run(request: dict[str, Any]) -> None:
    """Run the task as a worker does, with this in its message."""
    from celery.app.trace import build_tracer  # noqa: PLC0415  # registers what only a worker needs

    tracer = build_tracer(speak.name, speak, app=app)
    tracer(
        "t1", ("hello",), {}, {"id": "t1", "retries": 0, "is_eager": False, "ignore_result": True, **request}
    )


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        ({"group": "g1", "group_index": 3, "chord": BODY}, "hello|g1|header|3"),
        ({"group": "g1", "group_index": 0, "chord": BODY}, "hello|g1|header|0"),
        ({"group": "g1", "chordwatch": "g1"}, "hello|g1|callback|"),
        ({"group": "g1"}, "hello|g1|callback|"),
        ({"chordwatch": "g1"}, "hello|g1|callback|"),
        ({"group": "g1", "group_index": 4, "chordwatch": "g1"}, "hello|g1|callback|"),
        ({"group": "g2", "group_index": 1, "chord": BODY, "chordwatch": "g1"}, "hello|g1|callback|"),
        ({"group": "g2", "group_index": 1, "chord": BODY, "chordwatch": [["g1", 1]]}, "hello|g2|header|1"),
        ({"group": "g2", "chordwatch": [["g1", 0], ["g2", 0]]}, "hello|g2|callback|"),
        ({"group": "g1", "group_index": 3}, "hello|||"),
        ({}, "hello|||"),
        ({"group": "g1", "group_index": "x", "chord": BODY}, "hello|g1|header|"),
        ({"group": "g1", "chord": "damaged", "chordwatch": 7}, "hello|||"),
    ],
    ids=[
        "header",
        "first of the header",
        "callback",
        "callback of a producer that is not instrumented",
        "first step of a callback",
        "member of a group as callback",
        "callback of an inner chord",
        "header of a chord that is a callback",
        "callback of a chord that is a callback",
        "member of a plain group",
        "plain task",
        "odd index",
        "damaged",
    ],
)
def test_a_line_tells_the_chord_of_its_task(lines: io.StringIO, request_: dict[str, Any], line: str) -> None:
    run(request_)

    assert lines.getvalue().splitlines() == [line]


def test_outside_a_task_the_attributes_are_empty(lines: io.StringIO) -> None:
    logging.getLogger("project").warning("idle")

    assert lines.getvalue() == "idle|||\n"


def test_what_the_host_said_itself_stays(lines: io.StringIO) -> None:
    own = {"chord_id": "mine", "chord_role": "boss", "chord_index": 7}
    logging.getLogger("project").warning("own", extra=own)

    assert lines.getvalue() == "own|mine|boss|7\n"


def test_no_record_is_held_back_and_nothing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("a Celery that we do not know")

    monkeypatch.setattr(log_filter, "get_current_task", broken)
    record = logging.LogRecord("project", logging.INFO, "", 0, "words", (), None)

    assert chordwatch.ChordLogFilter().filter(record) is True
    assert record.__dict__["chord_id"] == ""


def test_it_is_exported_without_making_the_import_heavy() -> None:
    program = (
        "import sys, chordwatch; light = 'celery' not in sys.modules; from chordwatch import ChordLogFilter;"
        "sys.exit(0 if light and 'celery' in sys.modules and ChordLogFilter() else 1)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=clean_environment(), check=False)

    assert done.returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        chordwatch.nonsense  # noqa: B018
