"""A process that publishes healthy chords for as long as it is fed their names, one after the other: a name a line.

For each it answers with a line of JSON: the name, and the ids of its chords or the error. `again NAME` publishes a
part of a finished chord once more. For `early` it first answers with the names of all that are sent at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from celery.result import GroupResult
from healthy_chords import CHORDS, EARLY, deliver_again

SENT: dict[str, Any] = {}


def publish(name: str) -> None:
    """Publish what has this name and say what it is known by."""
    try:
        if name.startswith("again "):
            result = SENT[name.removeprefix("again ")]
            deliver_again(result.parent.id, result.parent.results[0].id, result.id)
            say(name=name, ids=[result.parent.id])
        else:
            SENT[name] = result = CHORDS[name]().apply_async()
            say(name=name, ids=list(chords_of(result)))
    except Exception as exc:  # noqa: BLE001  # what a web process would log
        say(name=name, error=f"{type(exc).__name__}: {exc}")


def chords_of(result: Any) -> Iterator[str]:
    """Yield the group ids of the chords that a result comes from."""
    while result is not None:
        result = result.parent
        if isinstance(result, GroupResult):
            yield result.id


def say(**answer: Any) -> None:
    """Answer in a line."""
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    for line in sys.stdin:
        names = list(EARLY) if line.strip() == "early" else [line.strip()]
        say(names=names)
        for each in names:
            publish(each)
        if names != [line.strip()]:
            say(name=line.strip(), ids=[])
