"""When there is tracing, and through which provider: the host's, or one that the standard variables describe.

Nothing of the SDK is imported until one of the two is there.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress
from importlib.metadata import entry_points
from typing import Any

from opentelemetry import trace

from chordwatch.errors import SettingError
from chordwatch.tracing.spans import Spans
from chordwatch.tracing.switch import EXPORTERS, is_configured

logger = logging.getLogger("chordwatch")

_SDK = "opentelemetry.sdk.trace"
#: Seconds that a process may take to export its last spans.
FLUSH_SECONDS = 2.0


class Providers:
    """Finds the provider of this process, when the first span is to be written, and again after a fork.

    `always`: without a provider of the host's and without variables, spans go to the default OTLP endpoint.
    """

    def __init__(self, *, always: bool) -> None:
        self._always = always
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Forget what a parent process found: its connections are its own."""
        self._lock = threading.Lock()
        self._spans: Spans | None = None
        self._failed = False

    def are_certain(self) -> bool:
        """Whether there is, or will be, a provider, without making one."""
        return self._always or is_configured() or _host_provider() is not None

    def spans(self) -> Spans | None:
        """Return what starts spans in this process, None while there is no provider."""
        return self._spans or self._find()

    def _find(self) -> Spans | None:
        if self._failed:
            return None
        host = _host_provider()
        if host is None and not (self._always or is_configured()):
            return None
        with self._lock:
            if self._spans is None:
                try:
                    self._spans = Spans(host or _own_provider())
                except Exception as exc:  # noqa: BLE001  # a guest; whatever somebody's exporter may raise
                    self._failed = True
                    logger.error("chordwatch does not trace: %s", exc)  # noqa: TRY400  # no traceback for a setting
            return self._spans

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Export what is left, for at most `seconds`; an exporter that blocks is left behind."""
        if self._spans is None:
            return
        thread = threading.Thread(target=self._spans.provider.force_flush, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # some Pythons start no thread any more while the interpreter ends
            self._spans.provider.force_flush()
        else:
            thread.join(seconds)


def preload() -> None:
    """Import the exporter that the variables name, in a worker before it forks, so that no task waits for that."""
    if is_configured():
        with suppress(Exception):  # said when it is needed
            _exporters()


def _host_provider() -> Any:
    """Return the global provider where it is one of the SDK, else None."""
    sdk = sys.modules.get(_SDK)
    if sdk is None:
        return None
    provider = trace.get_tracer_provider()
    return provider if isinstance(provider, sdk.TracerProvider) else None


def _own_provider() -> Any:
    """Return a provider of our own, as the variables describe it; the global one stays the host's to set."""
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  # see above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  # see above

    provider = TracerProvider(shutdown_on_exit=False)
    for exporter in _exporters():
        provider.add_span_processor(BatchSpanProcessor(exporter()))
    return provider


def _exporters() -> list[Any]:
    """Return the exporters' classes.

    Raises:
        SettingError: one is not installed.
    """
    names = [name.strip() for name in os.environ.get(EXPORTERS, "").split(",") if name.strip()] or ["otlp"]
    found = []
    for name in names:
        wanted = _otlp() if name == "otlp" else name
        entries = entry_points(group="opentelemetry_traces_exporter", name=wanted)
        if not entries:
            raise SettingError(
                f"no exporter {wanted} is installed; pip install chordwatch[otel] brings OTLP over HTTP."
            )
        found.append(next(iter(entries)).load())
    return found


def _otlp() -> str:
    """Return the entry point of the protocol; HTTP is the specification's default, and what our extra installs."""
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    return "otlp_proto_grpc" if (protocol or "").strip() == "grpc" else "otlp_proto_http"
