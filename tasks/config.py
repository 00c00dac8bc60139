"""Celery's settings (lower case) and the demo's own (upper case). Read once, at import.

Redis database 0 is the broker, 1 the result backend, 2 holds the workflow API's records.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from celery.schedules import crontab
from kombu.entity import Queue

REDIS_URL = os.environ.get("DEMO_REDIS_URL", "redis://127.0.0.1:6379").rstrip("/")
RECORDS_URL = f"{REDIS_URL}/2"
MODEL_URL = os.environ.get("MODEL_SERVICE_URL", "http://127.0.0.1:9000").rstrip("/")
DATA_DIR = Path(os.environ.get("DEMO_DATA_DIR", Path(tempfile.gettempdir()) / "chordwatch-demo"))

# On Redis the lower number is served first, and these are the steps that have a list of their own.
# RabbitMQ counts the other way round: there a higher number goes first.
URGENT, NORMAL, BULK = 0, 3, 6

broker_url = f"{REDIS_URL}/0"
result_backend = f"{REDIS_URL}/1"
result_expires = 24 * 3600
# Results then name their task, its worker and its retries; costs a few hundred bytes each.
result_extended = True
# Without it a running task is PENDING, like one that was never sent.
task_track_started = True
# Flower and `celery events` live from these two.
worker_send_task_events = True
task_send_sent_event = True

broker_transport_options = {
    "priority_steps": [0, 3, 6, 9],
    # A worker of several queues empties the urgent ones first instead of taking turns.
    "queue_order_strategy": "priority",
    # A retry waits inside a worker, unacknowledged. If that takes longer than the visibility timeout, Redis
    # hands the message to a second worker and the task runs twice. Our longest wait is two hours.
    # The price: tasks of a lost worker come back only after three hours.
    "visibility_timeout": 3 * 3600,
}
# A task that publishes a chord leaves the results it will not wait for in its process (see tasks.launch).
worker_max_tasks_per_child = 1000
broker_connection_retry_on_startup = True
# A prefetched message has left the priority lists, so later, more urgent ones cannot overtake it.
worker_prefetch_multiplier = 1
# Only RabbitMQ reads it: queues have priorities there when they are declared with x-max-priority.
task_queue_max_priority = 9
task_default_priority = NORMAL

# Nobody consumes dead_letter, so it is no queue of ours here: a worker without -Q would take it too.
# Without a routing key of its own each would be bound to the default one, and get a copy of what goes there.
task_queues = [
    Queue(name, routing_key=name)  # type: ignore[no-untyped-call]
    for name in ("critical", "default", "low")
]
task_default_queue = "default"
task_routes = {
    "tasks.orders.*": {"queue": "critical", "priority": URGENT},
    "tasks.images.*": {"queue": "low", "priority": NORMAL},
    "tasks.uploads.*": {"queue": "low", "priority": BULK},
    "tasks.reports.*": {"queue": "low", "priority": BULK},
}

# The soft limit raises SoftTimeLimitExceeded inside the task, the hard one kills its process.
task_soft_time_limit = 60
task_time_limit = 75

beat_schedule = {
    "daily-report": {"task": "tasks.reports.daily", "schedule": crontab(hour="6", minute="0")},
    "pulse": {
        "task": "tasks.reports.pulse",
        "schedule": 10.0,
        # While no worker runs they must not pile up.
        "options": {"expires": 10.0},
    },
}
timezone = "UTC"
