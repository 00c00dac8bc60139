"""The history of an installation: samples that monitors post in the store, and what flowed between them.

Each resolution has its slots of time; the first monitor that looks within a slot posts its sample, so that several
monitors and restarts harm nothing. Times are Unix seconds by the store's clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from chordwatch.board.samples import Sample, Tally, Total, pack_sample, read_sample
from chordwatch.store.labels import OTHER
from chordwatch.store.protocol import Store

__all__ = ["CallbackFlow", "Flow", "Sample", "Tally", "flows", "post_sample", "read_history"]


class Resolution(NamedTuple):
    """Every so many seconds one sample, kept for so many seconds."""

    seconds: int
    kept: int


#: Finest first.
RESOLUTIONS = (Resolution(60, 3 * 3600), Resolution(600, 2 * 86_400), Resolution(7200, 31 * 86_400))
#: So many of the finest slots are read too, for the newest sample: a coarse one may be hours old.
_NEWEST = 3
_P95 = 0.95


def post_sample(store: Store, sample: Sample) -> None:
    """Post a sample in each slot that has none yet.

    Raises:
        UnreachableError: the store does not answer.
    """
    packed = b""
    for resolution in RESOLUTIONS:
        packed = packed or pack_sample(sample)
        store.post(
            _name(resolution, int(sample.at // resolution.seconds)),
            packed,
            keep=resolution.kept,
            only_new=True,
        )


def read_history(store: Store, seconds: float, now: float) -> tuple[Sample, ...]:
    """Return the samples of the last `seconds` before `now`, oldest first, and one from before them if there is one.

    Raises:
        UnreachableError: the store does not answer.
    """
    coarse = next((each for each in RESOLUTIONS if seconds <= each.kept), RESOLUTIONS[-1])
    finest, first = RESOLUTIONS[0], max(seconds, 0) + coarse.seconds
    names = [
        *_names(coarse, now - min(first, coarse.kept), now),
        *_names(finest, now - _NEWEST * finest.seconds, now),
    ]
    found = store.posted(names)
    samples = {sample.at: sample for packed in found.values() if (sample := read_sample(packed))}
    return tuple(samples[at] for at in sorted(samples) if at <= now + finest.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackFlow:
    """What happened to one callback's chords between two samples; None where nothing tells.

    Durations in seconds. `straggler_share`: how much of the time that headers took was spent after half of their
    tasks had finished, waiting for the last one, from 0 to 1.
    """

    started: int
    succeeded: int
    failed: int
    retries: int
    mean_duration: float | None = None
    p95_duration: float | None = None
    mean_barrier: float | None = None
    straggler_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What happened in the `seconds` before `at` (Unix seconds), by callback."""

    at: float
    seconds: float
    callbacks: Mapping[str, CallbackFlow]


def flows(samples: Sequence[Sample]) -> tuple[Flow, ...]:
    """Return what happened between each two samples, oldest first."""
    return tuple(
        Flow(at=later.at, seconds=later.at - earlier.at, callbacks=dict(_flows(earlier, later)))
        for earlier, later in pairwise(samples)
    )


def _flows(earlier: Sample, later: Sample) -> Iterator[tuple[str, CallbackFlow]]:
    """Yield the callbacks whose tallies can be compared.

    Where callbacks are left out of samples, one that is new in `later` may be an old one that was left out before: its
    number says nothing then, and neither does what is left of the others.
    """
    cut = OTHER in earlier.callbacks or OTHER in later.callbacks
    others_changed = cut and earlier.callbacks.keys() - {OTHER} != later.callbacks.keys() - {OTHER}
    for name, tally in later.callbacks.items():
        before = earlier.callbacks.get(name)
        if (name == OTHER and others_changed) or (before is None and OTHER in earlier.callbacks):
            continue
        bounds = later.bounds if before is None or earlier.bounds == later.bounds else ()
        yield name, _flow(before or Tally(), tally, bounds)


def _flow(before: Tally, after: Tally, bounds: tuple[float, ...]) -> CallbackFlow:
    if _began_anew(before, after):
        before = Tally()
    barrier = _minus(after.barrier, before.barrier)
    return CallbackFlow(
        started=after.started - before.started,
        succeeded=after.succeeded - before.succeeded,
        failed=after.failed - before.failed,
        retries=after.retries - before.retries,
        mean_duration=_mean(_minus(after.duration, before.duration)),
        p95_duration=_quantile(_P95, bounds, _differences(before.buckets, after.buckets)) if bounds else None,
        mean_barrier=_mean(barrier),
        straggler_share=_share(_minus(after.straggler, before.straggler), barrier),
    )


def _began_anew(before: Tally, after: Tally) -> bool:
    """Whether a counter shrank: the store was flushed, or moved, and counts from 0 again."""
    shrank = any(
        getattr(after, name) < getattr(before, name) for name in ("started", "succeeded", "failed", "retries")
    )
    return shrank or after.duration[0] < before.duration[0] or after.barrier[0] < before.barrier[0]


def _minus(after: Total, before: Total) -> Total:
    return after[0] - before[0], after[1] - before[1]


def _mean(total: Total) -> float | None:
    number, seconds = total
    return max(0.0, seconds) / number if number > 0 else None


def _share(straggler: Total, barrier: Total) -> float | None:
    if straggler[0] <= 0 or barrier[1] <= 0:
        return None
    return min(1.0, max(0.0, straggler[1] / barrier[1]))


def _differences(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
    if not before:
        return after
    return tuple(max(0, new - old) for new, old in zip(after, before, strict=True))


def _quantile(share: float, bounds: tuple[float, ...], counts: tuple[int, ...]) -> float | None:
    """Return the value below which this share of the observations lies, as even in its bucket as Prometheus has it."""
    total = sum(counts)
    if not total or not bounds:
        return None
    reached, rank = 0, share * total
    for index, count in enumerate(counts):
        if count and reached + count >= rank:
            if index >= len(bounds):
                return bounds[-1]
            low = bounds[index - 1] if index else 0.0
            return low + (bounds[index] - low) * (rank - reached) / count
        reached += count
    return bounds[-1]


def _names(resolution: Resolution, since: float, until: float) -> list[str]:
    first, last = (int(moment // resolution.seconds) for moment in (since, until))
    return [_name(resolution, slot) for slot in range(first, last + 1)]


def _name(resolution: Resolution, slot: int) -> str:
    return f"history:{resolution.seconds}:{slot}"
