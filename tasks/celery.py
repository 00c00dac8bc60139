"""The Celery app of the demo project: `celery -A tasks worker`, run from the repository's root."""

from __future__ import annotations

from celery import Celery

import chordwatch

app = Celery(
    "tasks",
    include=[
        "tasks.errbacks",
        "tasks.faults",
        "tasks.images",
        "tasks.orders",
        "tasks.pipeline",
        "tasks.reports",
        "tasks.shapes",
        "tasks.uploads",
    ],
)
app.config_from_object("tasks.config")
chordwatch.instrument(app)
