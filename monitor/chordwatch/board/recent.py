"""What the last hour or day was like: counts, queues and ends, from samples of the history. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chordwatch.board.history import flows
from chordwatch.board.rows import Board
from chordwatch.board.samples import Sample
from chordwatch.model import Health

#: A line of so few points says nothing.
_LEAST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """How a number changed: its values, oldest first and the present one last, over the `seconds` until now.

    `change` is None where there is nothing to compare with.
    """

    values: tuple[int, ...]
    change: int | None
    seconds: float


def trend_of(samples: Sequence[Sample], board: Board, healths: Iterable[Health]) -> Trend:
    """Return how many open chords had one of these healths, from the first sample to the board."""
    wanted = tuple(healths)
    values = [sum(counts.get(health, 0) for health in wanted) for counts in _counts(samples, board)]
    change = values[-1] - values[0] if len(values) >= _LEAST else None
    seconds = max(0.0, board.taken_at - samples[0].at) if samples else 0.0
    return Trend(values=tuple(values), change=change, seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How many chords ended in the `seconds` between the first and the last sample."""

    succeeded: int
    failed: int
    seconds: float


def ended_in(samples: Sequence[Sample]) -> Ended | None:
    """Return how many chords ended between the samples, None where that cannot be told."""
    if len(samples) < _LEAST:
        return None
    parts = [part for flow in flows(samples) for part in flow.callbacks.values()]
    return Ended(
        succeeded=sum(part.succeeded for part in parts),
        failed=sum(part.failed for part in parts),
        seconds=samples[-1].at - samples[0].at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """The length of a queue at one moment (Unix seconds)."""

    at: float
    queue: str
    length: int


def depths(samples: Sequence[Sample], board: Board, *, most: int) -> tuple[Depth, ...]:
    """Return the lengths over time of the `most` queues that were longest, oldest first and the board's last.

    A queue that a sample does not have was empty then, or was not among the longest.
    """
    moments = [*((sample.at, sample.queues) for sample in samples), _now(board)]
    peak: dict[str, int] = {}
    for _, lengths in moments:
        for queue, length in lengths.items():
            peak[queue] = max(length, peak.get(queue, 0))
    shown = sorted(sorted(peak, key=lambda queue: (-peak[queue], queue))[:most])
    return tuple(
        Depth(at=at, queue=queue, length=lengths.get(queue, 0)) for at, lengths in moments for queue in shown
    )


def _counts(samples: Sequence[Sample], board: Board) -> list[dict[Health, int]]:
    return [*(dict(sample.counts) for sample in samples), dict(board.counts)]


def _now(board: Board) -> tuple[float, dict[str, int]]:
    return board.taken_at, {queue.name: queue.length for queue in board.queues}
