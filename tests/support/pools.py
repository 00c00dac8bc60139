"""Celery's pools as parameters of tests: prefork, the default, with every change; the others among the faults."""

from __future__ import annotations

from typing import Any

import pytest


def pools(*names: str) -> list[Any]:
    """Return these pools as parameters."""
    return [
        name if name == "prefork" else pytest.param(name, marks=pytest.mark.faults, id=name) for name in names
    ]
