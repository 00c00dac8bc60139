from __future__ import annotations

from chordwatch.evidence.facts import Place
from chordwatch.watch import Sighting
from chordwatch.watch.deliveries import Deliveries
from tests.unit.seen import NOW, in_queue, open_chord


def seen(place: Place) -> list[Sighting]:
    return [Sighting(chord=open_chord(), places={"h1": place})]


def unacked(since: float) -> list[Sighting]:
    return seen(Place(kind="unacked", name="celery", since=since))


def test_a_delivery_is_as_old_as_the_look_that_saw_it_first_whatever_its_workers_clock_says() -> None:
    deliveries = Deliveries()

    assert deliveries.update(unacked(NOW - 60), NOW) == {"h1": NOW}
    assert deliveries.update(unacked(NOW - 60), NOW + 5) == {"h1": NOW}


def test_the_next_delivery_is_another() -> None:
    deliveries = Deliveries()
    deliveries.update(unacked(NOW - 60), NOW)

    assert deliveries.update(unacked(NOW - 50), NOW + 10) == {"h1": NOW + 10}


def test_what_waits_is_not_delivered_and_what_is_gone_for_long_is_forgotten() -> None:
    deliveries = Deliveries()

    assert deliveries.update(seen(in_queue()), NOW) == {}
    deliveries.update(unacked(NOW), NOW)
    assert deliveries.update((), NOW + 1000) == {}


def test_asked_again_the_workers_would_decide_of_a_message_that_is_new_to_us_and_delivered_a_while_ago() -> (
    None
):
    deliveries = Deliveries()

    deliveries.update(unacked(NOW - 4), NOW)
    assert not deliveries.undecided
    deliveries.update(unacked(NOW - 60), NOW)
    assert deliveries.undecided
    deliveries.update(unacked(NOW - 60), NOW + 5)
    assert not deliveries.undecided
