"""What is loaded and connected where nobody traces: each in a process of its own."""

from __future__ import annotations

import sys
import textwrap

import pytest

from tests.support.servers import clean_environment, run

PREAMBLE = """
import sys
import redis  # loads a part of OpenTelemetry's metrics by itself, where that is installed
before = set(sys.modules)
import chordwatch
from celery import Celery, signals
from chordwatch.errors import SettingError
app = Celery("proj", broker="redis://127.0.0.1:1/0", backend="redis://127.0.0.1:1/0")
def loaded(name):
    return sorted(module for module in set(sys.modules) - before if (module + ".").startswith(name + "."))
def hears_publishing():
    return len(signals.before_task_publish.receivers)
"""


def told(code: str, **environment: str) -> list[str]:
    done = run(sys.executable, "-c", PREAMBLE + textwrap.dedent(code), env=clean_environment(**environment))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("tracing", "environment"),
    [("off", {}), ("off", {"OTEL_TRACES_EXPORTER": "otlp"}), ("auto", {"OTEL_SDK_DISABLED": "true"})],
)
def test_off_loads_nothing_of_opentelemetry_and_connects_nothing(
    tracing: str, environment: dict[str, str]
) -> None:
    code = (
        f"chordwatch.instrument(app, tracing={tracing!r}); print(loaded('opentelemetry'), hears_publishing())"
    )
    assert told(code, **environment) == ["[] 0"]


@pytest.mark.parametrize("environment", [{}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SERVICE_NAME": "shop"}])
def test_auto_without_a_provider_loads_no_sdk_and_connects_nothing(environment: dict[str, str]) -> None:
    code = "chordwatch.instrument(app); print(loaded('opentelemetry.sdk'), hears_publishing())"
    assert told(code, **environment) == ["[] 0"]


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_auto_with_an_exporter_in_the_environment_connects_but_opens_nothing_yet(name: str) -> None:
    code = "chordwatch.instrument(app); print(loaded('opentelemetry.sdk'), hears_publishing())"
    assert told(code, **{name: "http://127.0.0.1:9"}) == ["[] 1"]


def test_auto_with_the_hosts_provider_connects() -> None:
    assert told(
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        trace.set_tracer_provider(TracerProvider())
        chordwatch.instrument(app)
        print(hears_publishing())
        chordwatch.uninstrument(app)
        print(hears_publishing())
        """
    ) == ["1", "0"]


WITHOUT_SDK = "sys.modules['opentelemetry.sdk'] = None  # as if it were not installed"


def test_without_the_sdk_auto_is_off() -> None:
    code = (
        f"{WITHOUT_SDK}\nchordwatch.instrument(app)\nprint(loaded('opentelemetry.trace'), hears_publishing())"
    )
    assert told(code, OTEL_TRACES_EXPORTER="otlp") == ["[] 0"]


def test_without_the_sdk_on_is_an_error_that_names_what_to_install() -> None:
    code = f"""
{WITHOUT_SDK}
try:
    chordwatch.instrument(app, tracing="on")
except SettingError as exc:
    print(exc)
"""
    assert told(code) == [
        "chordwatch_tracing is on, but the OpenTelemetry SDK is not installed: pip install chordwatch[otel]."
    ]
