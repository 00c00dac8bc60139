"""Messages that were delivered to a worker and are not acknowledged, with what is known of that worker. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from chordwatch.diagnosis.case import Case
from chordwatch.diagnosis.taken import SLACK_SECONDS, End, Taken, awaited, end_of, taken_by
from chordwatch.evidence.facts import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A message in `unacked`, the worker that took it, and what became of that; both None where nobody told."""

    task_id: str
    place: Place
    name: str | None = None
    taken: Taken | None = None
    end: End | None = None

    @property
    def is_held(self) -> bool:
        """Whether heartbeats tell that the worker which has it lives."""
        return self.end is not None and self.end.told and self.end.fate == "alive"


def delivered(case: Case) -> Iterator[Delivered]:
    """Yield the delivered messages of the tasks that no rule has explained."""
    unacked = case.in_places("unacked")
    for task in awaited(case) if unacked else ():
        place = unacked.get(task.task_id or "")
        if place is None or task.task_id is None:
            continue
        taken = taken_by(case, task)
        if taken and _of_before(taken, place):
            taken = None
        if taken and taken.at is None:
            taken = replace(taken, at=place.since)  # it cannot have been taken before it was delivered
        end = end_of(case, taken) if taken else None
        yield Delivered(task_id=task.task_id, place=place, name=task.name, taken=taken, end=end)


def asked_after(case: Case, message: Delivered) -> bool:
    """Whether the workers were asked after the message was delivered: one that has it would have named it.

    When it was delivered is told by a worker's clock, which may be wrong; so a look before has to have seen it too.
    """
    asked_at, since = case.consumers.asked_at, message.place.since
    if asked_at is None or since is None or case.consumers.silent:
        return False
    lives = case.lives.get(message.taken.worker, ()) if message.taken else ()
    ahead = lives[-1].clock_ahead if lives else 0.0
    seen = case.deliveries_seen.get(message.task_id, 0.0)
    return asked_at > seen and asked_at > since - ahead + SLACK_SECONDS


def _of_before(taken: Taken, place: Place) -> bool:
    """Whether the message was delivered once more since: to another worker, which has told nothing yet."""
    return taken.at is not None and place.since is not None and taken.at + SLACK_SECONDS < place.since
