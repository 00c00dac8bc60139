"""A demo Celery project, written as its users would write one. Of chordwatch it has the one line that records.

`celery -A tasks` finds the app in `tasks.celery`.
"""

from __future__ import annotations
