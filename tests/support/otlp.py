"""A real OTLP/HTTP collector on 127.0.0.1: takes what an exporter posts and decodes it into plain spans."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.polling import wait_until

T = TypeVar("T")
_UNPACKED: Mapping[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a span points at."""

    trace_id: int
    span_id: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a span, `at` Unix seconds."""

    name: str
    at: float
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A span as it was exported. Times are Unix seconds; `kind` and `status` are their names in capitals.

    `parent_id` is None for the root of a trace. `resource` are its process's attributes, `scope` names its library.
    """

    trace_id: int
    span_id: int
    parent_id: int | None
    trace_state: str
    name: str
    kind: str
    start: float
    end: float
    attributes: Mapping[str, Any]
    links: tuple[Link, ...]
    events: tuple[Event, ...]
    dropped_links: int
    status: str
    description: str
    resource: Mapping[str, Any]
    scope: str

    def __str__(self) -> str:
        return f"{self.name} [{self.kind}] {self.trace_id:032x}/{self.span_id:016x}"


class Collector:
    """Takes OTLP over HTTP. Clear `gate` and every request waits; set `status` to another than 200 and it is refused.

    `requests` counts what arrived at all, with its path; `spans` are those that were accepted, in order of arrival.
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.requests: Counter[str] = Counter()
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def environment(self, service: str = "celery") -> dict[str, str]:
        """Return the standard variables that make a process export to this collector, several times a second."""
        return {
            "OTEL_SERVICE_NAME": service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "5",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    def named(self, name: str) -> list[Span]:
        """Return the spans with this name."""
        return [span for span in self.spans if span.name == name]

    def wait(self, found: Callable[[list[Span]], T], what: str, seconds: float = 30.0) -> T:
        """Return the first true value of a function of the spans; fail with all spans when there is none in time."""
        try:
            return wait_until(lambda: found(list(self.spans)), what, seconds)
        except AssertionError as exc:
            got = "\n".join(tree(self.spans)) or "(no span at all)"
            raise AssertionError(f"{exc}\n{got}") from None

    def wait_for(self, names: Mapping[str, int], seconds: float = 30.0) -> list[Span]:
        """Return all spans as soon as there are at least so many of each name; fail with what came instead."""

        def are_there(spans: list[Span]) -> list[Span]:
            missing = Counter(names) - Counter(span.name for span in spans)
            return [] if missing else spans

        return self.wait(are_there, f"spans {dict(names)}", seconds)

    def close(self) -> None:
        """End it."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def tree(spans: Iterable[Span]) -> list[str]:
    """Return the spans' names, one a line, children indented below their parent, siblings in order of their text.

    A span whose parent was not exported stands at the left margin with `… ` before its name, a link adds nothing.
    """
    spans = list(spans)
    known = {(span.trace_id, span.span_id) for span in spans}
    children: dict[tuple[int, int] | None, list[Span]] = {}
    for span in spans:
        parent = (span.trace_id, span.parent_id or 0)
        children.setdefault(parent if parent in known else None, []).append(span)

    def below(parent: tuple[int, int] | None) -> Iterator[list[str]]:
        for span in children.get(parent, []):
            orphan = "… " if parent is None and span.parent_id else ""
            under = sorted(below((span.trace_id, span.span_id)))
            yield [orphan + span.name, *("  " + line for lines in under for line in lines)]

    return [line for lines in sorted(below(None)) for line in lines]


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            collector.requests[self.path] += 1
            collector.gate.wait(60)
            answer = b""
            if collector.status == 200 and self.path == "/v1/traces":
                unpack = _UNPACKED.get(self.headers["Content-Encoding"] or "", bytes)
                collector.spans.extend(decode(unpack(body)))
                answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(collector.status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            with suppress(ConnectionError):  # a process that was killed, or gave up, waits for no answer
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    return Handler


def decode(body: bytes) -> Iterator[Span]:
    """Yield the spans of an export request."""
    request = ExportTraceServiceRequest.FromString(body)
    for of_process in request.resource_spans:
        resource = _attributes(of_process.resource.attributes)
        for of_library in of_process.scope_spans:
            for span in of_library.spans:
                yield _span(span, resource, of_library.scope.name)


def _span(span: trace_pb2.Span, resource: Mapping[str, Any], scope: str) -> Span:
    return Span(
        trace_id=_id(span.trace_id),
        span_id=_id(span.span_id),
        parent_id=_id(span.parent_span_id) or None,
        trace_state=span.trace_state,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        start=span.start_time_unix_nano / 1e9,
        end=span.end_time_unix_nano / 1e9,
        attributes=_attributes(span.attributes),
        links=tuple(
            Link(trace_id=_id(to.trace_id), span_id=_id(to.span_id), attributes=_attributes(to.attributes))
            for to in span.links
        ),
        events=tuple(
            Event(name=event.name, at=event.time_unix_nano / 1e9, attributes=_attributes(event.attributes))
            for event in span.events
        ),
        dropped_links=span.dropped_links_count,
        status=trace_pb2.Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        description=span.status.message,
        resource=resource,
        scope=scope,
    )


def _id(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind) if kind else None
