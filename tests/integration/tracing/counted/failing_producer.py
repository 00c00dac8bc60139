"""A producer whose messages cannot be published, 1,000 times each way; prints what `Count` counted, as JSON."""

from __future__ import annotations

import json
from contextlib import suppress

from celery import Celery, chord
from kombu.exceptions import EncodeError, OperationalError
from project import add, collect, count

TIMES = 1000
away = Celery("away", broker="redis://127.0.0.1:1/0", set_as_current=False)
away.conf.broker_transport_options = {"max_retries": 1, "interval_start": 0, "interval_step": 0}

for _ in range(TIMES):
    with suppress(EncodeError):
        chord([add.s(1, 1), add.s(1, object())])(collect.s())
        raise AssertionError("an object went through JSON")
for number in range(TIMES):
    with suppress(OperationalError):
        away.send_task("project.add", (1, 1), group_id=f"group{number}", chord=dict(collect.s()), retry=False)
        raise AssertionError("a broker that is not there took a message")
print(json.dumps(count.told()))
