"""Sends one chord of two quick parts and a third, as a web process does: `producer.py TASK QUEUE`; prints its id."""

from __future__ import annotations

import sys

from celery import chord
from project import add, app, collect

task, queue = sys.argv[1:]
third = app.tasks[f"project.{task}"].s(*((600,) if task == "nap" else (3, 3))).set(queue=queue)
result = chord([add.s(1, 1), add.s(2, 2), third])(collect.s())
print(result.parent.id)
