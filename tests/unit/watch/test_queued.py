"""Since when recorded chord messages wait."""

from __future__ import annotations

from typing import Any

import pytest

from chordwatch.model import Callback
from chordwatch.watch import Sighting
from chordwatch.watch.queued import oldest_queued
from tests.unit.seen import NOW, header_task, in_queue, open_chord


def sent(number: int, ago: float, **fields: Any) -> Any:
    return header_task(number, **{"state": "published", "published_at": NOW - ago, **fields})


def test_the_one_that_has_waited_longest_is_told_by_queue() -> None:
    first = Sighting(
        chord=open_chord(header=(sent(0, 10), sent(1, 50), sent(2, 70))),
        places={"h0": in_queue(), "h1": in_queue(), "h2": in_queue("slow")},
    )
    second = Sighting(chord=open_chord(header=(sent(3, 20),)), places={"h3": in_queue()})

    assert oldest_queued((first, second), NOW) == {"celery": NOW - 50, "slow": NOW - 70}


def test_a_callback_waits_too() -> None:
    callback = Callback(task_id="body", name="zoo.collect", state="published", published_at=NOW - 4)
    seen = Sighting(chord=open_chord(callback=callback), places={"body": in_queue("callbacks")})

    assert oldest_queued([seen], NOW) == {"callbacks": NOW - 4}


@pytest.mark.parametrize(
    ("eta", "oldest"),
    [(NOW + 60, {}), (NOW - 5, {"celery": NOW - 5}), (NOW - 500, {"celery": NOW - 100})],
    ids=["to come", "past", "before it was published"],
)
def test_a_message_waits_from_its_eta_on(eta: float, oldest: dict[str, float]) -> None:
    seen = Sighting(chord=open_chord(header=(sent(0, 100),)), places={"h0": in_queue(eta=eta)})

    assert oldest_queued([seen], NOW) == oldest


@pytest.mark.parametrize(
    ("task", "place"),
    [
        (sent(0, 9), in_queue(name=None)),
        (sent(0, 9, published_at=None), in_queue()),
        (sent(0, 9, state="started"), in_queue()),
        (sent(0, 9, state="succeeded"), in_queue()),
        (sent(0, 9, task_id="another"), in_queue()),
    ],
    ids=["no queue", "not recorded", "put back", "done", "elsewhere"],
)
def test_what_has_not_just_been_sent_is_no_wait(task: Any, place: Any) -> None:
    seen = Sighting(chord=open_chord(header=(task,)), places={"h0": place})

    assert oldest_queued([seen], NOW) == {}
