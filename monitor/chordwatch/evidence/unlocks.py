"""The arguments of `celery.chord_unlock`: the chord that it polls. Pure.

Checked against Celery 5.4 to 5.7 (`fallback_chord_unlock` in `celery/backends/base.py`, `celery/app/builtins.py`).
"""

from __future__ import annotations

from typing import Any

from chordwatch.evidence.facts import Message, Unlock
from chordwatch.evidence.result_tuples import leaves
from chordwatch.foreign import as_dict, as_int, as_list, as_text
from chordwatch.recording.signatures import read_body

TASK = "celery.chord_unlock"


def read_unlock(message: Message, body: list[Any]) -> Unlock | None:
    """Return what a message's body `[args, kwargs, embed]` polls; None when it is no `chord_unlock`'s."""
    if message.name != TASK or len(body) < 2:  # noqa: PLR2004  # see above
        return None
    args, kwargs = as_list(body[0]), as_dict(body[1])
    chord_id = as_text(args[0]) if args else as_text(kwargs.get("group_id"))
    if not chord_id:
        return None
    callback = args[1] if len(args) > 1 else kwargs.get("callback")
    interval = kwargs.get("interval")
    return Unlock(
        chord_id=chord_id,
        task_id=message.task_id,
        queue=message.queue,
        header=tuple(leaves(as_list(kwargs.get("result")))),
        body=read_body(callback),
        retries=message.attempt,
        interval=float(interval) if isinstance(interval, int | float) else None,
        max_retries=as_int(kwargs.get("max_retries")),
        unacked=message.unacked,
        eta=message.eta,
    )
