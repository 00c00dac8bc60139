"""Which provider a process finds, and what it makes of the standard variables."""

from __future__ import annotations

import threading
import time

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter

from chordwatch.errors import SettingError
from chordwatch.tracing import providers
from chordwatch.tracing.providers import Providers
from chordwatch.tracing.switch import is_configured


@pytest.mark.parametrize(
    ("environment", "configured"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "shop"}, False),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": " "}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, False),
    ],
)
def test_the_standard_variables_name_an_exporter(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], configured: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_configured() is configured
    assert (Providers(always=False).spans() is not None) is configured


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        ("", [OTLPSpanExporter]),
        ("otlp", [OTLPSpanExporter]),
        ("console, otlp", [ConsoleSpanExporter, OTLPSpanExporter]),
    ],
)
def test_exporters_are_found_by_name_and_otlp_goes_over_http(
    monkeypatch: pytest.MonkeyPatch, names: str, classes: list[type]
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", names)
    assert providers._exporters() == classes


@pytest.mark.parametrize(
    "environment", [{"OTEL_TRACES_EXPORTER": "zipkin9"}, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}]
)
def test_an_exporter_that_is_not_installed_is_said_once_and_nothing_is_traced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingError, match=r"^no exporter \w+ is installed; "):
        providers._exporters()
    found = Providers(always=True)
    assert found.spans() is None
    assert found.spans() is None
    [record] = caplog.records
    assert record.getMessage().startswith("chordwatch does not trace: no exporter ")


def test_the_hosts_provider_goes_first_and_may_come_late(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Providers(always=False)
    assert not found.are_certain()
    assert found.spans() is None
    host = TracerProvider()
    monkeypatch.setattr(providers.trace, "get_tracer_provider", lambda: host)
    assert found.are_certain()
    spans = found.spans()
    assert spans is not None
    assert spans.provider is host


def test_a_disabled_sdk_is_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert Providers(always=True).spans() is None


def test_an_exporter_that_blocks_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Providers(always=True)
    spans = found.spans()
    assert spans is not None
    released = threading.Event()
    monkeypatch.setattr(spans.provider, "force_flush", lambda: released.wait(30))
    began = time.monotonic()
    found.flush(0.1)
    assert time.monotonic() - began < 5
    released.set()
