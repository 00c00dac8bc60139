"""A process that publishes chords for as long as it is fed their names: `python producer.py`, a name a line.

For each it answers with a line of JSON: first the group id where the chord has one already, then the ids of what was
published, or the error.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from celery.result import GroupResult
from chords import CHORDS


def publish(name: str) -> dict[str, Any]:
    """Publish a chord; return the ids of group, callback and parts."""
    canvas = CHORDS[name]()
    say(chord_id=canvas.options.get("task_id"))
    try:
        result = canvas.apply_async()
    except Exception as exc:  # noqa: BLE001  # what a web process would log
        return {"error": f"{type(exc).__name__}: {exc}"}
    header = [part.id for part in result.parent.results] if isinstance(result.parent, GroupResult) else []
    return {"chord_id": result.parent.id, "callback_id": result.id, "header": header}


def say(**answer: Any) -> None:
    """Answer in a line."""
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    for line in sys.stdin:
        say(**publish(line.strip()))
