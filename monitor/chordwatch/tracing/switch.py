"""Whether a process may trace at all. Nothing of OpenTelemetry is imported to tell."""

from __future__ import annotations

import os
from importlib.util import find_spec

from chordwatch.errors import SettingError

#: Each of these names an exporter; the first by its name.
EXPORTERS = "OTEL_TRACES_EXPORTER"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def is_wanted(tracing: str) -> bool:
    """Return whether this process may come to trace, under the setting `tracing`: auto, on or off.

    Raises:
        SettingError: tracing is on and there is no SDK.
    """
    if tracing == "off" or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    there = find_spec("opentelemetry.sdk") is not None
    if tracing == "on" and not there:
        raise SettingError(
            "chordwatch_tracing is on, but the OpenTelemetry SDK is not installed: pip install chordwatch[otel]."
        )
    return there


def is_configured() -> bool:
    """Return whether the standard variables name an exporter of spans."""
    value = os.environ.get(EXPORTERS, "").strip().lower()
    return value != "none" and any(os.environ.get(name, "").strip() for name in (EXPORTERS, *_ENDPOINTS))
