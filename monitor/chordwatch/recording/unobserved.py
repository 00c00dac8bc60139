"""Keeps others from making spans of our own work: an instrumented Redis client would, for each flush and heartbeat."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Returned = TypeVar("_Returned")

#: What instrumentations ask for in the current context; older ones by its plain name.
_PLAIN_KEY = "suppress_instrumentation"


def unobserved(function: Callable[_Given, _Returned]) -> Callable[_Given, _Returned]:
    """Run a function with instrumentation suppressed, where OpenTelemetry is loaded at all."""

    @functools.wraps(function)
    def suppressed(*args: _Given.args, **kwargs: _Given.kwargs) -> _Returned:
        token = _suppress()
        try:
            return function(*args, **kwargs)
        finally:
            if token is not None:
                sys.modules["opentelemetry.context"].detach(token)

    return suppressed


def _suppress() -> Any:
    """Return what undoes it, None where there is nothing to suppress."""
    api: Any = sys.modules.get("opentelemetry.context")
    try:
        key = api._SUPPRESS_INSTRUMENTATION_KEY  # noqa: SLF001  # the API has no other name for it
        return api.attach(api.set_value(key, True, api.set_value(_PLAIN_KEY, True)))
    except AttributeError:  # not loaded, or not to its end
        return None
