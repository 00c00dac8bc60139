"""A demo Celery project, written as its users would write one. It knows nothing of chordwatch.

`celery -A tasks` finds the app in `tasks.celery`.
"""

from __future__ import annotations
