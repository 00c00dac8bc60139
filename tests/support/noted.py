"""How late Celery tells what happened: the times of different processes are in order only up to this."""

from __future__ import annotations

#: Seconds that a busy machine may take from what happened to the signal that tells it. Celery signals a message when
#: it is sent, and a part's end when the part is counted and the callback sent: by then the receiver may have begun,
#: and even ended.
NOTED_LATE = 0.2
