"""Publishes in a process of its own, because the app reads its addresses when it is imported.

`play.py scenarios` starts the whole catalogue, `play.py priorities` three messages of each priority.
Prints one JSON document.
"""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import asdict

from celery.exceptions import CPendingDeprecationWarning

from tasks.celery import app
from tasks.config import BULK, NORMAL, URGENT
from tasks.scenarios import SCENARIOS


def scenarios() -> dict[str, dict[str, str | None]]:
    return {name: asdict(scenario.start()) for name, scenario in SCENARIOS.items()}


def priorities() -> list[list[object]]:
    square = app.tasks["tasks.shapes.square"]
    return [
        [priority, square.apply_async((1, 0.0), queue="priorities", priority=priority).id]
        for _ in range(3)
        for priority in (BULK, NORMAL, URGENT)
    ]


if __name__ == "__main__":
    # Celery announces that the setting which link_error_on_header turns on will become the default.
    warnings.simplefilter("ignore", CPendingDeprecationWarning)
    print(json.dumps({"scenarios": scenarios, "priorities": priorities}[sys.argv[1]]()))
