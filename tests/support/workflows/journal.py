"""What tasks write down themselves: one JSON line per event, in one file that all processes append to.

A line is written by one `write` to a descriptor opened for appending, so lines of different processes do not mix,
and a line that was written survives the SIGKILL of its process.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

VARIABLE = "WORKFLOWS_JOURNAL"


def note(**event: Any) -> None:
    """Append an event."""
    descriptor = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, json.dumps(event).encode() + b"\n")
    finally:
        os.close(descriptor)


def read(path: Path) -> list[dict[str, Any]]:
    """Return all events so far, in the order in which they were written."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
