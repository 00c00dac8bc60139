"""A task that rejects its message for good fails twice over: its process sees the run, the main process the failure."""

from __future__ import annotations

import pytest

from tests.support.workflows.canvases import chord_of, task
from tests.support.workflows.crew import Crew
from tests.support.workflows.rounds import compare, compare_counters


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_each_of_two_deliveries_that_one_worker_rejects_has_its_end(crew: Crew, pool: str) -> None:
    crew.worker("one", "-P", pool, "-c", "2", CHORDWATCH_FLUSH_INTERVAL="0.02")
    crew.producer("producer").publish(
        chord_of(task(1, do="reject", copy=True), task(2), task(3, seconds=1.0))
    )
    crew.quiet()

    with crew.recorded() as store:
        (fate,) = compare(crew, store, "a part that is rejected twice").values()
        assert [len(part.runs) for part in fate.header.values()] == [2, 1, 1]
        compare_counters(store, {fate.chord_id: fate})
