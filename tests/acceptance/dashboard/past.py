"""An hour of history, as a monitor would have posted it: a stack of a minute's age has no trends to look at."""

from __future__ import annotations

from collections.abc import Mapping
from math import sin

from chordwatch.board.history import post_sample
from chordwatch.board.samples import Sample, Tally
from chordwatch.store.protocol import Store

MINUTES = 60
BOUNDS = (1.0, 2.5, 5.0, 10.0, 25.0, 60.0)
#: Callback to its usual duration in seconds, and how many of its chords start in a minute.
USUAL = {"images.album": (8.0, 6), "imports.load": (4.0, 10), "invoices.send": (1.5, 3)}


def plant_an_hour(store: Store, usually: Mapping[str, tuple[float, int]] = USUAL) -> None:
    """Post a sample for each minute of the last hour, but for the latest ones, which are a real monitor's."""
    now = store.now()
    tallies = dict.fromkeys(usually, Tally(buckets=(0,) * (len(BOUNDS) + 1)))
    for minute in range(MINUTES, 2, -1):
        for number, (name, (usual, chords)) in enumerate(usually.items()):
            slow = usual * (1.3 + sin(minute / 7 + number)) / 1.3
            tallies[name] = _later(tallies[name], chords, max(0.3, slow), minute)
        waiting = {"celery": 8 + round(6 * sin(minute / 9)), "images": 3 + round(3 * sin(minute / 5))}
        sample = Sample(
            at=now - 60 * minute,
            counts={"ok": 5 + round(2 * sin(minute / 6))},
            queues=waiting,
            callbacks=dict(tallies),
            bounds=BOUNDS,
        )
        post_sample(store, sample)


def _later(tally: Tally, chords: int, seconds: float, minute: int) -> Tally:
    """Return the tally after a minute in which so many chords took so long; one of them fails now and then."""
    failed = int(minute % 17 == 0)
    barrier, straggler = 0.85 * seconds, 0.25 * seconds
    slot = sum(bound < seconds for bound in BOUNDS)
    grown = (count + chords * (place == slot) for place, count in enumerate(tally.buckets))
    return Tally(
        started=tally.started + chords,
        succeeded=tally.succeeded + chords - failed,
        failed=tally.failed + failed,
        retries=tally.retries + minute % 3,
        duration=(tally.duration[0] + chords, tally.duration[1] + chords * seconds),
        barrier=(tally.barrier[0] + chords, tally.barrier[1] + chords * barrier),
        straggler=(tally.straggler[0] + chords, tally.straggler[1] + chords * straggler),
        buckets=tuple(grown),
    )
