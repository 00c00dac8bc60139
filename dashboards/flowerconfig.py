# ruff: noqa: INP001  # Flower executes this file, nobody imports it
"""Flower's options as we start it: `celery -A proj flower --conf=dashboards/flowerconfig.py`.

Runs inside Flower's process, executed (not imported) by tornado once its options are defined.
Every global whose name is an option of Flower sets that option, others are ignored; therefore nothing
here may be named after one by accident (`logging` is one).
The command line wins over this file, and this file would win over `FLOWER_*` environment variables: the
last lines step back where such a variable is set, so that the order is command line, environment, this file.
"""

from __future__ import annotations

import os

# The page /chords, and beside each task its chord: a function of Flower's option of that name.
from chordwatch.flower import add_chords as _add_chords
from chordwatch.flower import format_task  # noqa: F401  # an option

_add_chords()
tasks_columns = "name,uuid,chord,state,received,runtime,worker"

# Flower's own default is every interface; it shows arguments and results, and without --basic-auth to anyone.
address = "127.0.0.1"

# Nobody should be able to shut down a worker from a page that is there to look at.
# Who wants the buttons sets --read-only=false, together with --basic-auth.
read_only = True

# Flower would otherwise switch on task events on every worker every 5 seconds: they cost more than half of a
# worker's CPU, and say nothing about chords. Workers and queues are shown without them; workers that run
# with -E are still listened to.
enable_events = False

# A task in memory costs about 5 KB: 50 MB at most instead of Flower's 500 MB.
max_tasks = 10_000
max_workers = 1_000

# What Flower keeps is a cache of events: its file grows, and writing it blocks the server.
persistent = False
state_save_interval = 0

# In a fleet that scales, dead workers would fill the list; for an hour a vanished one is worth seeing.
purge_offline_workers = 3600

# Milliseconds: a busy worker across a network often needs more than Flower's 1 second.
inspect_timeout = 2000.0

# "5 minutes ago" is the question one has; the exact time stands in the task's page.
natural_time = True

for _option in [name for name in globals() if f"FLOWER_{name.upper()}" in os.environ]:
    del globals()[_option]
