"""Sends for each name one chord that hangs and one that fails; prints their ids by name, as JSON.

Of the chord that hangs one part waits for a retry, with the name as its error, and one lies in a queue of that name.
"""

from __future__ import annotations

import json

from bazaar import NAMES, app
from celery import chord

fails = app.tasks["fails"]
sent: dict[str, str] = {}
for name in NAMES:
    part, takes = app.tasks[name], app.tasks[f"{name} takes"]
    hangs = chord([part.s(name), part.s(name).set(queue=name, task_id=f"{name} id")])(takes.s())
    sent[name] = hangs.parent.id
    sent[f"{name} fails"] = chord([fails.s(name), fails.s(name)])(takes.s()).parent.id
print(json.dumps(sent))
