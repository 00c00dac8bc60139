"""Since when recorded chord messages wait in queues. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from chordwatch.model import Callback, HeaderTask
from chordwatch.watch.look import Sighting

#: The states of a task that no worker has begun since it was sent, or sent again for a retry.
_SENT = frozenset({"published", "retrying"})


def oldest_queued(sightings: Iterable[Sighting], now: float) -> Mapping[str, float]:
    """Return for each queue since when (Unix seconds) the message waits that has waited longest there.

    It waits since it was published, as recorded; with an ETA since that, and not before (`now` in Unix seconds).
    """
    oldest: dict[str, float] = {}
    for sighting in sightings:
        waiting = {
            task_id: place
            for task_id, place in sighting.places.items()
            if place.kind == "queue" and (place.eta is None or place.eta <= now)
        }
        tasks: Iterable[HeaderTask | Callback] = chain(sighting.chord.header, [sighting.chord.callback])
        for task in tasks if waiting else ():
            place = waiting.get(task.task_id or "")
            if place and place.name and task.state in _SENT and task.published_at is not None:
                since = max(task.published_at, place.eta or 0.0)
                oldest[place.name] = min(since, oldest.get(place.name, since))
    return oldest
