"""The demo: a whole Celery installation with chordwatch beside it, on one machine, by one command.

`python -m tasks.demo` starts and supervises the services. The tour (`tasks.demo.tour`) is a process of its
own, because the Celery app reads its addresses from the environment when it is imported.
"""

from __future__ import annotations
