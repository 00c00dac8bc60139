"""Which names are labels, from one scrape to the next."""

from __future__ import annotations

from typing import Any

from chordwatch.metrics import CallbackNames
from chordwatch.store.labels import MAX_CALLBACKS, OTHER, UNKNOWN
from chordwatch.store.protocol import Counters
from chordwatch.watch import Look
from tests.unit.metrics.test_collector import chord, look

RECORDED = [f"recorded-{number:03}" for number in range(MAX_CALLBACKS)]


def counters(*names: str) -> Counters:
    return Counters(started=dict.fromkeys(names, 1))


def seen(*names: str | None) -> Look:
    return look(*map(chord, names))


def labels(names: CallbackNames, told: Look | None, counted: Counters | None, *asked: Any) -> list[str]:
    """Return the labels that these callbacks have in one scrape."""
    return [*map(names.labels(told, counted), asked)]


def test_a_label_that_was_given_is_kept_when_others_come_that_are_more() -> None:
    names = CallbackNames()
    first = [f"b-{number}" for number in range(MAX_CALLBACKS)]
    labels(names, seen(*first), None)

    many = [f"a-{number}" for number in range(MAX_CALLBACKS)] * 3
    given = labels(names, seen(*many, *first), None, "a-0", *first)

    assert given == [OTHER, *first]


def test_a_callback_without_open_chords_gives_its_place_away() -> None:
    names = CallbackNames()
    first = [f"b-{number}" for number in range(MAX_CALLBACKS)]
    labels(names, seen(*first), None)

    assert labels(names, seen(*first[1:], "late"), None, "late", first[1], first[0]) == [
        "late",
        first[1],
        OTHER,
    ]


def test_a_place_is_kept_over_a_scrape_that_shows_no_look_and_no_store() -> None:
    names = CallbackNames()
    labels(names, seen("a"), counters("b"))

    assert labels(names, None, None, "a", "b", "c") == ["a", "b", OTHER]


def test_what_the_store_counts_has_labels_whatever_is_open() -> None:
    names = CallbackNames()
    labels(names, seen(*(f"seen-{number}" for number in range(MAX_CALLBACKS))), None)

    given = labels(
        names, seen("seen-0", "seen-1"), counters(*RECORDED[1:]), *RECORDED[1:], "seen-0", "seen-1"
    )

    assert given == [*RECORDED[1:], "seen-0", OTHER]


def test_the_stores_own_words_take_no_place() -> None:
    """The store itself counts what goes beyond its limit as `other`."""
    given = labels(CallbackNames(), None, counters(OTHER, "", *RECORDED), OTHER, None, "", *RECORDED)

    assert given == [OTHER, UNKNOWN, UNKNOWN, *RECORDED]
    counted = CallbackNames().labels(None, counters(OTHER, "", *RECORDED)).counted
    assert counted == (*RECORDED, OTHER, UNKNOWN)


def test_two_monitors_and_one_that_was_restarted_agree_on_what_is_counted() -> None:
    first, second = CallbackNames(), CallbackNames()
    labels(first, seen("seen-0"), counters(*RECORDED[:100]))

    for names in (first, second):
        assert labels(names, seen("seen-0"), counters(*RECORDED), *RECORDED) == RECORDED
