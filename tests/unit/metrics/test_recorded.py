"""What the store counted, as a scrape shows it."""

from __future__ import annotations

from typing import Any

import pytest

from chordwatch.metrics import recorded
from chordwatch.model import Callback
from chordwatch.settings import DURATION_BUCKETS as BUCKETS
from chordwatch.store.labels import MAX_CALLBACKS
from chordwatch.store.protocol import Counters, Histogram
from chordwatch.watch import Look, Sighting
from chordwatch.watch.recorded import Totals
from tests.unit.metrics.test_collector import HOSTILE, chord, look, samples
from tests.unit.recorded import beat
from tests.unit.seen import NOW, open_chord

EVENTS = {"published", "started", "succeeded", "failed", "retried", "revoked", "rejected"}


def totals(*workers: Any, **counters: Any) -> Totals:
    return Totals(up=True, counters=Counters(**counters), workers=workers, bytes_used=4096, now=NOW)


def of(found: dict[tuple[str, ...], float], name: str) -> dict[tuple[str, ...], float]:
    return {key[1:]: value for key, value in found.items() if key[0] == name}


def observed(*at: int, total: float = 7.5) -> Histogram:
    """Return a histogram with one observation in each bucket of these indexes."""
    return Histogram(bounds=BUCKETS, counts=tuple(at.count(n) for n in range(len(BUCKETS) + 1)), sum=total)


def test_a_store_that_was_not_asked_is_not_spoken_of() -> None:
    assert not [key for key in samples(look()) if "store" in key[0]]


def test_a_store_that_is_down_has_one_series_and_the_look_goes_on() -> None:
    found = samples(look(chord("a")), totals=Totals())

    assert found["chordwatch_store_up",] == 0
    assert found["celery_chord_open", "a"] == 1
    assert not [key for key in found if key[0].endswith("_total") or "bytes" in key[0]]


def test_without_broker_the_counters_of_the_store_are_told() -> None:
    found = samples(look(chord("a")), current=False, totals=totals(started={"a": 2}))

    assert found["chordwatch_store_up",] == 1
    assert found["chordwatch_store_bytes",] == 4096
    assert found["celery_chord_started_total", "a"] == 2
    assert not of(found, "celery_chord_open")


def test_a_known_callback_has_all_its_series_from_the_start() -> None:
    found = samples(look(), totals=totals(started={"a": 1}))

    assert of(found, "celery_chord_started_total") == {("a",): 1}
    assert of(found, "celery_chord_finished_total") == {
        ("a", o): 0 for o in ("succeeded", "failed", "aborted")
    }
    assert of(found, "celery_chord_callbacks_total") == {("a", event): 0 for event in EVENTS}
    assert of(found, "celery_chord_retries_total") == {("a", "a", "callback"): 0}
    assert of(found, "celery_chord_callback_repeats_total") == {("a",): 0}
    assert of(found, "celery_chord_open") == {("a",): 0}
    for name in ("duration", "barrier", "callback_wait", "straggler"):
        assert found[f"celery_chord_{name}_seconds_count", "a"] == 0
        assert found[f"celery_chord_{name}_seconds_bucket", "a", "+Inf"] == 0


def test_the_counters_are_those_of_the_store() -> None:
    found = samples(
        look(),
        totals=totals(
            started={"a": 5},
            finished={("a", "succeeded"): 3},
            header_tasks={("a", "zoo.add", "published"): 40},
            callbacks={("a", "started"): 4},
            retries={("a", "zoo.add", "header"): 2, ("a", "a", "callback"): 1},
            repeated={"a": 2},
            dropped={"overflow": 9, "strange": 1},
            capped={"name": 4},
        ),
    )

    assert found["celery_chord_finished_total", "a", "succeeded"] == 3
    assert found["celery_chord_finished_total", "a", "aborted"] == 0
    # Labels in the order of their names: callback, event, name.
    assert found["celery_chord_header_tasks_total", "a", "published", "zoo.add"] == 40
    assert found["celery_chord_header_tasks_total", "a", "rejected", "zoo.add"] == 0
    assert found["celery_chord_callbacks_total", "a", "started"] == 4
    assert found["celery_chord_retries_total", "a", "zoo.add", "header"] == 2
    assert found["celery_chord_retries_total", "a", "a", "callback"] == 1
    assert found["chordwatch_records_dropped_total", "overflow"] == 9
    assert found["chordwatch_records_dropped_total", "strange"] == 1
    assert found["chordwatch_records_dropped_total", "refused"] == 0
    assert found["celery_chord_callback_repeats_total", "a"] == 2
    assert of(found, "chordwatch_labels_capped_total") == {("name",): 4, ("callback",): 0}


def test_verdicts_are_counted_by_cause_and_remarks_begin_at_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "_REMARKS", [("ok", "duplicate_delivery")])
    found = samples(look(), totals=totals(verdicts={("a", "hung", "worker_lost"): 2}))

    # Labels in the order of their names: callback, cause, outcome.
    assert of(found, "celery_chord_verdicts_total") == {
        ("a", "worker_lost", "hung"): 2,
        ("a", "duplicate_delivery", "ok"): 0,
    }


def test_a_histogram_is_cumulative() -> None:
    last = len(BUCKETS)
    found = samples(look(), totals=totals(histograms={"duration": {"a": observed(0, 2, 2, last)}}))

    buckets = [found["celery_chord_duration_seconds_bucket", "a", str(bound)] for bound in BUCKETS]
    assert buckets == [1, 1] + [3] * (last - 2)
    assert found["celery_chord_duration_seconds_bucket", "a", "+Inf"] == 4
    assert found["celery_chord_duration_seconds_count", "a"] == 4
    assert found["celery_chord_duration_seconds_sum", "a"] == 7.5


def test_histograms_have_the_buckets_of_the_store() -> None:
    bounds = (1.0, 60.0)
    slow = Histogram(bounds=bounds, counts=(0, 2, 1), sum=150.0)

    found = samples(
        look(), totals=totals(started={"b": 1}, bounds=bounds, histograms={"barrier": {"a": slow}})
    )

    buckets = of(found, "celery_chord_barrier_seconds_bucket")
    assert buckets == {
        ("a", "1.0"): 0,
        ("a", "60.0"): 2,
        ("a", "+Inf"): 3,
        ("b", "1.0"): 0,
        ("b", "60.0"): 0,
        ("b", "+Inf"): 0,
    }


def test_chords_beyond_those_that_were_read_are_open_too() -> None:
    seen = look(chord("a", opened_at=NOW - 5), beyond={"a": (7, NOW - 90), "b": (2, NOW - 80)})

    found = samples(seen, totals=totals(started={"c": 1}))

    assert of(found, "celery_chord_open") == {("a",): 8, ("b",): 2, ("c",): 0}
    assert of(found, "celery_chord_oldest_open_timestamp_seconds") == {("a",): NOW - 90, ("b",): NOW - 80}


def test_the_oldest_open_chord_is_told_where_its_age_is_known() -> None:
    old, young = chord("a", opened_at=NOW - 9), chord("a", opened_at=NOW - 3)
    ended = chord("a", state="succeeded", opened_at=NOW - 99)

    found = samples(look(young, old, ended, chord("b")))

    assert of(found, "celery_chord_oldest_open_timestamp_seconds") == {("a",): NOW - 9}


def test_a_planned_chord_is_not_open_yet() -> None:
    assert of(samples(look(chord("a", state="planned"))), "celery_chord_open") == {}


@pytest.mark.parametrize(
    ("workers", "up"),
    [
        ([beat()], 1),
        ([beat(last=NOW - 60)], 0),
        ([beat(gone=True)], None),
        ([beat(first=NOW - 900, last=NOW - 300), beat(first=NOW - 200)], 1),
        ([beat(first=NOW - 900, last=NOW - 300), beat(first=NOW - 200, gone=True)], None),
        ([beat(first=NOW - 900, last=NOW - 300, gone=True), beat(first=NOW - 200, last=NOW - 100)], 0),
    ],
    ids=["beats", "silent", "said goodbye", "began anew", "began anew and ended", "died after a goodbye"],
)
def test_a_worker_is_up_as_its_latest_heartbeat_tells(workers: list[Any], up: int | None) -> None:
    assert samples(look(), totals=totals(*workers)).get(("celery_worker_up", "w1@zoo")) == up


def test_the_chord_tasks_that_a_worker_held_last_are_told_as_long_as_it_is() -> None:
    workers = (
        beat("busy", active=("h1", "h2"), reserved=("h3",)),
        beat("idle"),
        beat("dead", last=NOW - 60, reserved=("h4",)),
        beat("left", gone=True, active=("h5",)),
    )

    found = samples(look(), totals=totals(*workers))

    assert of(found, "celery_worker_chord_tasks") == {("busy",): 3, ("idle",): 0, ("dead",): 1}
    assert of(found, "celery_worker_up").keys() == of(found, "celery_worker_chord_tasks").keys()


def test_hostile_names_from_the_store_are_labels_that_every_parser_reads() -> None:
    found = samples(
        look(*(chord(name) for name in HOSTILE)),
        totals=totals(
            *(beat(name) for name in HOSTILE),
            started=dict.fromkeys(HOSTILE, 1),
            header_tasks={(name, name, "published"): 1 for name in HOSTILE},
            retries={(name, name, "header"): 1 for name in HOSTILE},
            finished={(name, "succeeded"): 1 for name in HOSTILE},
            verdicts={(name, name, name): 1 for name in HOSTILE},
            dropped=dict.fromkeys(HOSTILE, 1),
            histograms={"barrier": {name: observed(1) for name in HOSTILE}},
        ),
    )

    assert sum(of(found, "celery_chord_started_total").values()) == len(HOSTILE)
    assert sum(of(found, "celery_chord_header_tasks_total").values()) == len(HOSTILE)
    assert sum(of(found, "celery_chord_barrier_seconds_count").values()) == len(HOSTILE)
    assert max(len(text) for key in found for text in key[1:]) <= 200


def test_all_families_together_have_at_most_two_hundred_callbacks_and_other() -> None:
    started = {f"counted-{number}": 1 for number in range(150)}
    chords = [chord(f"open-{number}") for number in range(100)]

    found = samples(look(*chords), totals=totals(started=started))

    names = {
        key[0] for metric in ("celery_chord_open", "celery_chord_started_total") for key in of(found, metric)
    }
    assert len(names) == MAX_CALLBACKS + 1
    assert found["celery_chord_open", "other"] == 50


def test_ids_from_the_store_are_no_labels() -> None:
    seen = Look(taken_at=NOW, sightings=(Sighting(chord=open_chord(callback=Callback(name="a"))),))

    assert not [key for key in samples(seen, totals=totals(started={"a": 1})) if {"group", "h1"} & set(key)]
