"""Trace context in a message's headers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import baggage, context, propagate
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from chordwatch.tracing.messages import read_context, write_context

SPAN = SpanContext(2**127 + 1, 2**63 + 1, is_remote=False, trace_flags=TraceFlags(1))
WRITTEN = "00-80000000000000000000000000000001-8000000000000001-01"


@pytest.fixture
def tenant() -> Iterator[None]:
    token = context.attach(baggage.set_baggage("tenant", "blue"))
    yield
    context.detach(token)


@pytest.fixture
def only_w3c() -> Iterator[None]:
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(TraceContextTextMapPropagator())
    yield
    propagate.set_global_textmap(before)


def same(read: SpanContext, written: SpanContext) -> bool:
    return (read.trace_id, read.span_id, read.trace_flags, read.trace_state) == (
        *(written.trace_id, written.span_id, written.trace_flags, written.trace_state),
    )


def test_what_is_written_is_what_the_standard_says_and_can_be_read() -> None:
    headers: dict[str, Any] = {"id": "x"}
    write_context(headers, SPAN)
    assert headers == {"id": "x", "traceparent": WRITTEN}
    read = read_context(headers)[1]
    assert same(read, SPAN)
    assert read.is_remote


@pytest.mark.usefixtures("only_w3c")
def test_it_is_the_same_through_the_propagators() -> None:
    headers: dict[str, Any] = {}
    write_context(headers, SPAN)
    assert headers == {"traceparent": WRITTEN}
    assert same(read_context(headers)[1], SPAN)


@pytest.mark.usefixtures("tenant")
def test_baggage_goes_along() -> None:
    headers: dict[str, Any] = {}
    write_context(headers, SPAN)
    assert headers == {"traceparent": WRITTEN, "baggage": "tenant=blue"}
    got, span = read_context(headers)
    assert baggage.get_baggage("tenant", got) == "blue"
    assert same(span, SPAN)


def test_the_state_of_a_trace_goes_along() -> None:
    span = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(0), trace_state=TraceState([("a", "b")]))
    headers: dict[str, Any] = {}
    write_context(headers, span)
    assert headers["tracestate"] == "a=b"
    assert same(read_context(headers)[1], span)


@pytest.mark.parametrize(
    "value",
    [
        *("", "x" * 10_000, WRITTEN + "-", WRITTEN[:-1] + "A", "ff" + WRITTEN[2:]),
        *("00-" + "0" * 32 + WRITTEN[35:], 7, None, [WRITTEN]),
    ],
)
@pytest.mark.parametrize(
    "more", [{}, {"baggage": "=;,,"}, {"tracestate": "\x00"}, {"tracestate": 3, "baggage": []}]
)
def test_a_context_that_is_none_is_ignored(value: object, more: dict[str, object]) -> None:
    assert not read_context({"traceparent": value} | more)[1].is_valid


def test_no_context_is_none() -> None:
    assert read_context({"id": "x"}) == (context.Context(), INVALID_SPAN_CONTEXT)
