"""Which life of a worker took a task: one that was killed comes back under its old name, often within seconds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chordwatch.evidence.facts import WorkerLife


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """The life that took a task, None where that is one of which no heartbeat is known; `later` ones began after it.

    `rival`: the life after it, where the evidence does not decide between the two.
    """

    life: WorkerLife | None
    later: tuple[WorkerLife, ...] = ()
    rival: WorkerLife | None = None


def taker_of(lives: Sequence[WorkerLife], task_id: str, moment: float | None) -> Taker:
    """Return which of a worker's lives, oldest first, took the task at `moment` (Unix seconds by its own clock).

    `moment` is None where nobody knows when. What a life said that it held was its own; else times decide.
    """
    began = [at for at, life in enumerate(lives) if moment is None or life.began_by(moment)]
    named = [at for at in began if lives[at].names(task_id)]
    if named and not _came_back(lives[named[-1] :], moment):
        return _taker(lives, named[-1])
    if not began:
        return Taker(life=None, later=tuple(lives))
    there = [at for at in began if moment is None or lives[at].first_told_at <= moment]
    coming = [at for at in began if not there or at > there[-1]]
    if not coming:
        return _taker(lives, there[-1])
    if not there:
        return _taker(lives, coming[0])  # those after it began when it had come and gone
    return _one_of(lives, there[-1], coming[0], moment or 0.0)


def _one_of(lives: Sequence[WorkerLife], before: int, after: int, moment: float) -> Taker:
    """Choose between the life that was there and the one whose first heartbeat came shortly after the moment.

    A worker takes tasks before its first heartbeat, though not while the life before is still there.
    """
    life, rival = lives[before], lives[after]
    if life.last_told_at >= moment:
        return _taker(lives, before)
    if life.gone or life.last_told_at + life.stale_after < moment:
        return _taker(lives, after)
    taker = _taker(lives, before)
    return Taker(life=taker.life, later=taker.later, rival=rival)


def _came_back(lives: Sequence[WorkerLife], moment: float | None) -> bool:
    """Whether the first of these no longer held the task: a message that comes back may come to a later one."""
    named, *later = lives
    if moment is None or moment <= named.last_told_at:
        return False
    return any(life.first_told_at <= moment for life in later)


def _taker(lives: Sequence[WorkerLife], at: int) -> Taker:
    return Taker(life=lives[at], later=tuple(lives[at + 1 :]))
