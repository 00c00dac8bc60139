"""When looks first saw a message delivered: the time that the broker keeps is by the clock of some worker. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from chordwatch.watch.look import Sighting

_MAX_KEPT = 50_000
#: A worker names what it was delivered after so many seconds, unless a rate limit keeps it back.
NAMED = 5.0
#: What was seen last so long ago is forgotten. Seconds.
_FORGET = 900.0


class _Seen(NamedTuple):
    """One delivery: its time as the broker keeps it, and when a look saw it first and last."""

    since: float | None
    first: float
    last: float


class Deliveries:
    """Remembers from look to look when a message was first seen delivered and not acknowledged."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        #: Whether the last look was the first to see a message that nobody names: when asked again, it is decided.
        self.undecided = False

    def update(self, sightings: Iterable[Sighting], now: float) -> Mapping[str, float]:
        """Return when (Unix seconds) the present delivery was first seen, by task id, in a look at `now`."""
        self.undecided = False
        for sighting in sightings:
            for task_id, place in sighting.places.items():
                if place.kind == "unacked":
                    new = self._note(task_id, place.since, now)
                    self.undecided |= new and place.since is not None and now - place.since > NAMED
        self._seen = {id_: seen for id_, seen in self._seen.items() if now - seen.last < _FORGET}
        return {id_: seen.first for id_, seen in self._seen.items()}

    def _note(self, task_id: str, since: float | None, now: float) -> bool:
        """Note a delivery, and return whether it is new."""
        known = self._seen.get(task_id)
        new = known is None or known.since != since
        first = known.first if known and not new else now
        if known or len(self._seen) < _MAX_KEPT:
            self._seen[task_id] = _Seen(since, first, now)
        return new
