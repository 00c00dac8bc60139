"""A producer that dies half way through a chord: `python -m tasks.dying_producer GROUP_ID CALLBACK_ID`.

It stands for a deployment, an out-of-memory kill or a lost node at the wrong moment. Celery writes the number
of parts just before the last message, so the parts that were sent run, are counted, and wait for ever.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from typing import Any

from celery import chord
from celery.signals import after_task_publish

from tasks.shapes import square, total

PUBLISHED = 2
PARTS = 4


def main(group_id: str, callback_id: str) -> None:
    """Publish the chord until two of its four messages are sent."""
    count = itertools.count(1)

    def die(**_: Any) -> None:
        if next(count) == PUBLISHED:
            os.kill(os.getpid(), signal.SIGKILL)

    after_task_publish.connect(die, weak=False)
    # The chord's option is the group id, apply_async's is the callback's; an id set on a group is dropped.
    canvas = chord([square.s(number) for number in range(PARTS)], total.s(), task_id=group_id)
    canvas.apply_async(task_id=callback_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
