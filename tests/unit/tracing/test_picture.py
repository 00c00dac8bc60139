"""The docs' picture of a trace: well-formed whatever names say, and drawn from the spans alone."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from tests.support.otlp import Event, Link, Span
from tests.support.servers import ROOT
from tests.tracing_picture.waterfall import LEFT, RIGHT, WIDTH, waterfall

NAME = "a<b>&\"c'"


def span(span_id: int, name: str, kind: str, start: float, end: float, **fields: Any) -> Span:
    usual: dict[str, Any] = {
        "parent_id": 1,
        "trace_state": "",
        "attributes": {},
        "links": (),
        "events": (),
        "dropped_links": 0,
        "status": "UNSET",
        "description": "",
        "resource": {},
        "scope": "chordwatch",
    }
    own = {"trace_id": 9, "span_id": span_id, "name": name, "kind": kind, "start": start, "end": end}
    return Span(**{**usual, **own, **fields})


def link(span_id: int) -> Link:
    return Link(trace_id=9, span_id=span_id, attributes={})


def ran(span_id: int, start: float, end: float, task_id: str, attempt: int = 0, **fields: Any) -> Span:
    attributes = {"messaging.message.id": task_id, "celery.task.attempt": attempt, "celery.chord.index": 0}
    return span(span_id, f"process {NAME}", "CONSUMER", start, end, attributes=attributes, **fields)


TRACE = [
    span(
        1,
        f"chord {NAME}",
        "INTERNAL",
        100,
        104,
        parent_id=None,
        attributes={"celery.chord.straggler.task_id": "slow", "celery.chord.barrier_seconds": 3.0},
    ),
    span(2, "publish celery", "PRODUCER", 100, 100.01),
    ran(3, 101, 101.5, "slow", events=(Event(name="retry", at=101.5, attributes={}),), links=(link(2),)),
    ran(4, 102, 103, "slow", 1, links=(link(3),)),
    span(
        5,
        "process body",
        "CONSUMER",
        103,
        104,
        attributes={"celery.chord.role": "callback", "messaging.message.id": "b", "celery.task.attempt": 0},
        links=(link(4),),
    ),
    span(6, "somebody else's", "CONSUMER", 0, 1, trace_id=10),
]


def test_a_picture_is_well_formed_and_all_within_its_frame() -> None:
    drawn = ET.fromstring(waterfall(TRACE))
    ns = "{http://www.w3.org/2000/svg}"
    texts = [text.text for text in drawn.iter(f"{ns}text")]
    assert f"chord {NAME}, one trace" in texts
    assert texts.count(f"process {NAME} #0") == 2
    assert {"0.50 s, attempt 1, retried", "1.00 s, straggler", "barrier 3.00 s"} <= set(texts)
    assert not [text for text in texts if text and "somebody" in text]

    bars = {bar.get("fill"): bar for bar in drawn.iter(f"{ns}rect") if bar.get("y") not in (".5", "48")}
    whole = bars["var(--chord)"]
    assert float(whole.get("x", "")) == LEFT
    assert float(whole.get("width", "")) == WIDTH - LEFT - RIGHT
    assert float(bars["var(--body)"].get("x", "")) == LEFT + (WIDTH - LEFT - RIGHT) * 3 / 4


def test_the_picture_in_the_docs_is_one() -> None:
    ET.parse(ROOT / "docs" / "images" / "trace.svg")
