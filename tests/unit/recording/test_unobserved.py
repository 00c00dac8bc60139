"""Our own calls make no spans of others."""

from __future__ import annotations

import sys

import pytest
from opentelemetry.context import get_current
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from chordwatch.recording.unobserved import unobserved


def test_instrumentation_is_suppressed_within_and_only_there() -> None:
    assert is_instrumentation_enabled()
    before = get_current()
    assert unobserved(is_instrumentation_enabled)() is False
    assert is_instrumentation_enabled()
    assert get_current() == before


def test_an_error_goes_through_and_leaves_nothing_behind() -> None:
    @unobserved
    def fail() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        fail()
    assert is_instrumentation_enabled()


def test_where_opentelemetry_is_not_loaded_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "opentelemetry.context")
    assert unobserved(lambda number: number + 1)(1) == 2
    assert "opentelemetry.context" not in sys.modules
