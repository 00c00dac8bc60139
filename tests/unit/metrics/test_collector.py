from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client import exposition as text_format
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from chordwatch.evidence.facts import Queue
from chordwatch.metrics import ChordCollector
from chordwatch.metrics.catalogue import METRICS
from chordwatch.model import Callback, Chord
from chordwatch.store.labels import MAX_CALLBACKS
from chordwatch.store.protocol import Counters
from chordwatch.watch import Look, Sighting
from chordwatch.watch.recorded import Totals
from tests.unit.cli.rendered import NAMES, verdict
from tests.unit.recorded import beat
from tests.unit.seen import NOW, open_chord

HOSTILE = (
    *NAMES,
    'quote"back\\slash',
    "new\nline",
    "",
    'a{b="c"} 1',
    "other",
    "unknown",
    "\ud800\udfff",
    "x" * 10_240,
    "x" * 5000 + "y",
)


def chord(name: str | None, **fields: Any) -> Chord:
    return open_chord(callback=Callback(name=name), **fields)


def look(*chords: Chord, **fields: Any) -> Look:
    return Look(taken_at=NOW, sightings=tuple(Sighting(chord=each) for each in chords), **fields)


def exposed(collector: ChordCollector) -> tuple[str, str]:
    """Return what a scrape answers, in both formats."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return text_format.generate_latest(registry).decode(), openmetrics.generate_latest(registry).decode()


def samples(
    seen: Look | None, *, current: bool = True, totals: Totals | None = None, **fields: Any
) -> dict[tuple[str, ...], float]:
    """Return value by name and labels in the order of their names, which both formats agree on."""
    text, opened = exposed(ChordCollector(look=seen, seconds=0.25, current=current, totals=totals, **fields))
    formats = [
        [
            ((sample.name, *(value for _, value in sorted(sample.labels.items()))), sample.value)
            for family in families
            for sample in family.samples
        ]
        for families in (parse_text(text), parse_openmetrics(opened))
    ]
    assert formats[0] == formats[1]
    assert len(dict(formats[0])) == len(formats[0]), "a series twice makes Prometheus refuse the scrape"
    return dict(formats[0])


def test_open_chords_are_counted_by_callback_and_finished_ones_are_not() -> None:
    seen = look(
        chord("a"),
        chord("a"),
        chord("b"),
        chord("b", state="succeeded"),
        chord("c", state="failed"),
        chord(None),
    )

    found = samples(seen)

    assert found["celery_chord_open", "a"] == 2
    assert found["celery_chord_open", "b"] == 1
    assert found["celery_chord_open", "unknown"] == 1
    assert ("celery_chord_open", "c") not in found


def test_an_unhealthy_chord_is_counted_once_under_the_first_verdict_that_says_so() -> None:
    hung = chord("a", health="hung", verdicts=(verdict(), verdict(cause="queued", outcome="waiting")))
    late = chord(
        "a",
        health="late",
        verdicts=(verdict(cause="odd", outcome="ok"), verdict(cause="eta_scheduled", outcome="late")),
    )

    found = {key: value for key, value in samples(look(hung, hung, late)).items() if "unhealthy" in key[0]}

    assert found == {
        ("celery_chord_unhealthy", "a", "queue_unconsumed", "hung"): 2,
        ("celery_chord_unhealthy", "a", "eta_scheduled", "late"): 1,
    }


@pytest.mark.parametrize("health", ["ok", "waiting", "failed"])
def test_a_chord_that_is_well_or_merely_waits_is_not_unhealthy(health: Any) -> None:
    found = samples(look(chord("a", health=health, verdicts=(verdict(),))))

    assert not [key for key in found if "unhealthy" in key[0]]


def test_queues_are_told_with_their_consumers() -> None:
    queues = (
        Queue(name="celery", length=7, unacked=2, consumers=1),
        Queue(name="nobody", length=1, unacked=0, consumers=0),
    )

    found = samples(look(queues=queues))

    assert found["celery_queue_length", "celery"] == 7
    assert found["celery_queue_unacked", "celery"] == 2
    assert found["celery_active_consumer_count", "celery"] == 1
    assert found["celery_active_consumer_count", "nobody"] == 0


def test_consumers_that_were_not_counted_are_not_said_to_be_none() -> None:
    found = samples(look(queues=(Queue(name="celery", length=0, unacked=0),)))

    assert ("celery_queue_length", "celery") in found
    assert ("celery_active_consumer_count", "celery") not in found


def test_hostile_names_are_labels_that_every_parser_reads() -> None:
    queues = tuple(Queue(name=name, length=1, unacked=1, consumers=1) for name in HOSTILE)
    chords = [chord(name, health="hung", verdicts=(verdict(),)) for name in HOSTILE]

    found = samples(look(*chords, queues=queues))

    for metric in ("celery_chord_open", "celery_queue_length"):
        assert sum(value for key, value in found.items() if key[0] == metric) == len(HOSTILE)
    assert found["celery_chord_open", 'quote"back\\slash'] == 1
    assert max(len(label) for key in found for label in key[1:]) <= 200


def test_long_names_that_begin_alike_are_one_series() -> None:
    names = ["x" * 5000 + end for end in "ab"]
    queues = tuple(Queue(name=name, length=2, unacked=3, consumers=1) for name in names)

    found = samples(look(*map(chord, names), queues=queues))

    assert [value for key, value in found.items() if key[0] == "celery_chord_open"] == [2]
    assert [value for key, value in found.items() if key[0] == "celery_queue_length"] == [4]


def test_beyond_two_hundred_callbacks_the_rest_is_other() -> None:
    frequent = [chord(f"often-{number}") for number in range(MAX_CALLBACKS - 1)] * 2

    found = samples(look(*frequent, *(chord(f"rare-{number}") for number in range(51))))

    by_callback = {key[1]: value for key, value in found.items() if key[0] == "celery_chord_open"}
    assert len(by_callback) == MAX_CALLBACKS + 1
    assert by_callback["other"] == 50
    assert by_callback["often-198"] == 2


def test_the_monitor_tells_when_it_looked_and_how_long_it_took() -> None:
    found = samples(look())

    assert found["chordwatch_scan_timestamp_seconds",] == NOW
    assert found["chordwatch_scan_duration_seconds",] == 0.25


def test_an_old_look_is_not_shown_as_if_it_were_true_now() -> None:
    found = samples(look(chord("a"), queues=(Queue(name="q", length=1, unacked=0),)), current=False)

    assert set(found) == {("chordwatch_scan_timestamp_seconds",), ("chordwatch_scan_duration_seconds",)}


def test_before_the_first_look_there_is_nothing_to_tell() -> None:
    assert samples(None) == {}
    assert samples(None, current=False) == {}


@pytest.mark.parametrize(
    ("answered", "up"),
    [
        ({"broker", "result backend"}, {"broker": 1, "backend": 1}),
        ({"broker"}, {"broker": 1}),
        ({"result backend"}, {"backend": 1}),
        (set(), {}),
    ],
    ids=["both", "broker", "backend", "none"],
)
def test_what_a_finished_look_asked_is_up(answered: Any, up: dict[str, int]) -> None:
    found = samples(look(answered=frozenset(answered)))

    assert servers(found) == up


def test_after_a_failed_look_only_the_server_that_did_not_answer_is_spoken_of() -> None:
    before = look(answered=frozenset({"broker", "result backend"}))

    assert servers(samples(before, current=False, unreachable="broker")) == {"broker": 0}
    assert servers(samples(before, current=False, unreachable="result backend")) == {"backend": 0}
    assert servers(samples(None, current=False, unreachable="broker")) == {"broker": 0}
    assert servers(samples(before, current=False)) == {}


def servers(found: dict[tuple[str, ...], float]) -> dict[str, float]:
    """Return what is said of broker and result backend."""
    names = {"broker": ("chordwatch_broker_up",), "backend": ("chordwatch_backend_up",)}
    return {server: found[name] for server, name in names.items() if name in found}


def test_the_longest_wait_of_a_chords_message_is_told_by_queue() -> None:
    waits = {"celery": NOW - 30, "x" * 300 + "a": NOW - 5, "x" * 300 + "b": NOW - 9}

    found = samples(look(oldest_queued=waits))

    told = {key[1]: value for key, value in found.items() if "oldest_queued" in key[0]}
    assert told.pop("celery") == NOW - 30
    assert list(told.values()) == [NOW - 9]


def test_beside_celery_exporter_queues_and_workers_are_left_out() -> None:
    seen = look(
        chord("a"),
        queues=(Queue(name="celery", length=7, unacked=2, consumers=1),),
        oldest_queued={"celery": NOW - 30},
    )
    totals = Totals(up=True, workers=(beat(),), now=NOW)
    twice = {"celery_queue_length", "celery_queue_unacked", "celery_active_consumer_count"}
    twice |= {"celery_worker_up", "celery_worker_chord_tasks"}

    everything, chords = (
        {key[0] for key in samples(seen, totals=totals, everything=e)} for e in (True, False)
    )

    assert everything - chords == twice
    assert chords < everything
    assert "celery_chord_oldest_queued_timestamp_seconds" in chords


def test_every_metric_is_served_as_the_catalogue_has_it() -> None:
    counters = Counters(
        started={"a": 1},
        header_tasks={("a", "zoo.add", "published"): 1},
        retries={("a", "zoo.add", "header"): 1},
        verdicts={("a", "hung", "worker_lost"): 1},
    )
    seen = look(
        chord("a", health="hung", verdicts=(verdict(),), opened_at=NOW - 9),
        queues=(Queue(name="celery", length=7, unacked=2, consumers=1),),
        oldest_queued={"celery": NOW - 30},
        answered=frozenset({"broker", "result backend"}),
    )
    totals = Totals(up=True, counters=counters, workers=(beat(),), now=NOW)
    collector = ChordCollector(look=seen, totals=totals, errors={"look": 0})

    served = [
        (
            f"{family.name}_total" if family.type == "counter" else family.name,
            family.type,
            family.documentation,
            frozenset(label for sample in family.samples for label in sample.labels) - {"le"},
        )
        for family in parse_openmetrics(exposed(collector)[1])
    ]

    assert sorted(served) == sorted(
        (metric.name, metric.kind, metric.help, frozenset(metric.labels)) for metric in METRICS.values()
    )


def test_the_monitors_own_errors_are_told_from_the_start() -> None:
    collector = ChordCollector(errors={"webhook": 3, "look": 0})

    text, _ = exposed(collector)

    assert 'chordwatch_internal_errors_total{where="webhook"} 3.0' in text
    assert 'chordwatch_internal_errors_total{where="look"} 0.0' in text


def test_ids_are_never_labels() -> None:
    text, _ = exposed(ChordCollector(look=look(chord("a", chord_id="secret-id"))))

    assert "secret-id" not in text
    assert "h1" not in text
