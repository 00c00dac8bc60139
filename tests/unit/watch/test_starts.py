from __future__ import annotations

from dataclasses import replace

from chordwatch.evidence.facts import Place, Worker
from chordwatch.watch import Sighting
from chordwatch.watch.starts import Starts
from tests.unit.seen import NOW, open_chord


def delivered(since: float, attempt: int | None = 0, **fields: object) -> list[Sighting]:
    place = Place(kind="unacked", name="celery", since=since, attempt=attempt)
    return [Sighting(chord=open_chord(**fields), places={"h1": place})]


def test_the_same_delivery_is_one_start() -> None:
    starts = Starts()

    assert starts.update(delivered(NOW), NOW + 1) == {}
    assert starts.update(delivered(NOW), NOW + 2) == {}


def test_the_same_start_is_told_again_at_another_time_within_half_a_second() -> None:
    starts = Starts()
    for number, seen in enumerate([{}, {}, {"h1": 2}]):
        place = Place(kind="active", name="w1@zoo", since=NOW + 0.4 * number, attempt=0)

        assert starts.update([Sighting(chord=open_chord(), places={"h1": place})], NOW + number) == seen


def test_each_later_delivery_of_one_attempt_is_another() -> None:
    starts = Starts()
    for number in range(3):
        seen = starts.update(delivered(NOW + number), NOW + number)

    assert seen == {"h1": 3}


def test_a_retry_begins_anew() -> None:
    starts = Starts()
    starts.update(delivered(NOW), NOW)

    assert starts.update(delivered(NOW + 5, attempt=1), NOW + 5) == {}


def test_what_was_begun_long_ago_is_forgotten_and_what_is_recorded_is_not_counted() -> None:
    starts = Starts()
    starts.update(delivered(NOW), NOW)
    starts.update(delivered(NOW + 5), NOW + 5)

    assert starts.update([], NOW + 3600) == {}
    starts.update(delivered(NOW, instrumented=True), NOW)
    assert starts.update(delivered(NOW + 5, instrumented=True), NOW + 5) == {}


def test_what_was_put_back_before_has_begun_before() -> None:
    starts = Starts()
    again = replace(delivered(NOW)[0].places["h1"], redelivered=True)
    first = [replace(delivered(NOW)[0], places={"h1": again})]

    assert starts.update(first, NOW) == {"h1": 2}
    assert starts.update(delivered(NOW + 2), NOW + 2) == {"h1": 3}


def test_each_step_of_a_chain_is_a_task_of_its_own() -> None:
    starts = Starts()
    for number in range(3):
        place = Place(
            kind="unacked", name="celery", since=NOW + number, attempt=0, carrier_id=f"step{number}"
        )
        step = [Sighting(chord=open_chord(), places={"h1": place})]

        assert starts.update(step, NOW + number) == {}


def test_what_a_restarted_worker_put_back_was_not_begun_anew() -> None:
    starts, anew = Starts(), [Worker(hostname="w1@zoo", queues=("celery",), started_at=NOW - 3600)]
    starts.update(delivered(NOW), NOW, anew)
    anew = [replace(anew[0], started_at=NOW + 5)]

    assert starts.update(delivered(NOW + 10), NOW + 10, anew) == {}
    assert starts.update(delivered(NOW + 15), NOW + 15, anew) == {"h1": 2}


def test_the_run_of_what_was_delivered_before_is_no_second_start() -> None:
    starts = Starts()
    starts.update(delivered(NOW), NOW)
    runs = [Sighting(chord=open_chord(), places={"h1": Place(kind="active", name="w1@zoo", since=NOW + 4)})]

    assert starts.update(runs, NOW + 5) == {}
    late = replace(runs[0].places["h1"], delivered_at=NOW)
    assert starts.update([replace(runs[0], places={"h1": late})], NOW + 5) == {}
    assert starts.update(delivered(NOW), NOW + 6) == {}
    assert starts.update(delivered(NOW + 7), NOW + 7) == {"h1": 2}


def test_a_run_of_a_later_delivery_is_a_second_start() -> None:
    starts = Starts()
    starts.update(delivered(NOW), NOW)
    place = Place(kind="active", name="w1@zoo", since=NOW + 4, attempt=0, delivered_at=NOW + 3)

    assert starts.update([Sighting(chord=open_chord(), places={"h1": place})], NOW + 5) == {"h1": 2}


def test_a_run_whose_message_waits_again_is_another_start() -> None:
    starts = Starts()
    starts.update(delivered(NOW), NOW)
    place = Place(kind="active", name="w1@zoo", since=NOW + 4, attempt=0, redelivered=True)

    assert starts.update([Sighting(chord=open_chord(), places={"h1": place})], NOW + 5) == {"h1": 2}


def test_what_is_held_back_until_its_time_has_not_begun() -> None:
    starts = Starts()
    for number in range(3):
        place = Place(kind="unacked", name="celery", since=NOW + number, attempt=0, eta=NOW + 60)

        assert starts.update([Sighting(chord=open_chord(), places={"h1": place})], NOW + number) == {}
