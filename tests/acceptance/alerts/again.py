"""Sends the lost third part of a chord again, under its old id: `again.py CHORD CALLBACK TASK QUEUE`."""

from __future__ import annotations

import sys

from project import collect, nap

chord_id, callback_id, task_id, queue = sys.argv[1:]
callback = collect.s().set(task_id=callback_id)
nap.s(0).apply_async(task_id=task_id, group_id=chord_id, group_index=2, chord=callback, queue=queue)
