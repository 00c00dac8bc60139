from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.integration.tasks.conftest import Stack
from tests.support.polling import wait_until

Played = dict[str, dict[str, Any]]


@pytest.mark.parametrize(
    ("name", "parts", "result"),
    [
        ("two_stages", 2, 3**2 + 4**2 + 5**2 + 6**2),
        ("shared_context", 2, {"customer": "C-42", "sum": 12.0}),
        ("growing_header", 4, 1 + 2 + 3 + 10),
        ("nested", 2, 1 + 4 + 9),
        ("group_then_task", 4, 0 + 1 + 4 + 9),
        ("chains_in_header", 2, 2**4 + 3**4),
        ("immutable_callback", 3, "all done"),
        ("chunks", 3, sum(number * number for number in range(10))),
    ],
)
def test_a_shape_is_one_chord_of_the_id_it_returned(
    stack: Stack, started: Played, name: str, parts: int, result: Any
) -> None:
    ids = started[name]

    assert stack.outcome(ids["callback_id"])["status"] == "SUCCESS"
    assert stack.outcome(ids["result_id"])["result"] == result
    wait_until(lambda: stack.counters(ids["chord_id"])["claim"] == "done", "the chord is over")
    members = [
        meta for meta in stack.metas(group_id=ids["chord_id"]) if meta["task_id"] != ids["callback_id"]
    ]
    # For the outer of two chords the inner callback is a part like any other.
    assert len(members) == parts


def test_an_empty_header_is_no_chord(stack: Stack, started: Played) -> None:
    ids = started["empty_header"]

    assert stack.outcome(ids["result_id"])["result"] == 0
    assert ids["chord_id"] is None


def test_the_order_is_reserved_shipped_and_confirmed_on_the_critical_queue(
    stack: Stack, started: Played
) -> None:
    ids = started["order_chain"]

    confirmed = stack.outcome(ids["result_id"])
    assert ids["chord_id"] is None
    assert (confirmed["result"]["reserved"], confirmed["result"]["confirmed"]) == (True, True)
    assert confirmed["result"]["parcel"] == f"PARCEL-{confirmed['result']['order']}"
    assert confirmed["queue"] == "critical"


def test_images_are_made_and_the_broken_one_is_reported(stack: Stack, started: Played) -> None:
    ids = started["image_batch"]

    report = stack.outcome(ids["result_id"])["result"]

    assert report["title"] == "holiday"
    assert len(report["succeeded"]) == 5
    with Image.open(report["succeeded"][0]) as picture:
        assert picture.size == (160, 120)
    assert [Path(path).name for path in report["failed"]] == ["photo-5.png"]
    broken = [
        meta["result"] for meta in stack.metas(group_id=ids["chord_id"]) if "error" in (meta["result"] or {})
    ]
    assert [part["retries_used"] for part in broken] == [2]


def test_uploads_that_never_succeed_are_part_of_the_summary(stack: Stack, started: Played) -> None:
    ids = started["upload_batch"]

    assert stack.outcome(ids["result_id"])["result"] == {"uploaded": ["a.bin", "b.bin"], "failed": ["c.bin"]}
    uploads = {
        meta["result"]["name"]: meta["result"]
        for meta in stack.metas(group_id=ids["chord_id"], name="tasks.uploads.upload")
    }
    assert {name: upload["retries_used"] for name, upload in uploads.items()} == {
        "a.bin": 0,
        "b.bin": 2,
        "c.bin": 3,
    }


def test_the_report_combines_all_regions_in_order(stack: Stack, started: Played) -> None:
    report = stack.outcome(started["report"]["result_id"])["result"]

    assert [region["region"] for region in report["regions"]] == ["north", "east", "south", "west"]
    assert report["total"] == sum(region["sales"] for region in report["regions"])


@pytest.mark.parametrize("name", ["link_error", "link_error_on_header", "dead_letter", "partial_fail"])
def test_a_failed_part_is_a_chord_error_at_the_callback(stack: Stack, started: Played, name: str) -> None:
    failure = stack.outcome(started[name]["result_id"])

    assert (failure["status"], failure["result"]["exc_type"]) == ("FAILURE", "ChordError")


@pytest.mark.parametrize(
    ("text", "times"),
    [("the sum is missing", 1), ("a part or the sum is missing", 2)],
    ids=["on the callback", "on the callback and the failing part"],
)
@pytest.mark.usefixtures("started")
def test_errbacks_run_once_for_each_failure_they_are_linked_to(stack: Stack, text: str, times: int) -> None:
    def notices() -> int:
        return len(stack.metas(name="tasks.errbacks.notify", status="SUCCESS", result={"notified": text}))

    wait_until(lambda: notices() >= times, "the notice is sent")
    assert notices() == times


def test_what_failed_for_good_is_parked_for_a_person_and_not_for_ever(stack: Stack, started: Played) -> None:
    ids = started["dead_letter"]
    stack.outcome(ids["result_id"])

    (parked,) = wait_until(lambda: stack.messages("dead_letter"), "the failure is parked")

    assert parked["headers"]["task"] == "tasks.errbacks.review"
    failure, _ = parked["args"]
    assert (failure["task"], failure["task_id"]) == ("tasks.shapes.total", ids["callback_id"])
    assert "no such part" in failure["error"]
    (key,) = stack.broker.scan_iter("dead_letter*")
    assert 0 < stack.broker.ttl(key) <= 7 * 24 * 3600


@pytest.mark.usefixtures("started")
def test_beat_starts_a_chord_every_few_seconds(stack: Stack) -> None:
    (pulse, *_) = wait_until(
        lambda: stack.metas(name="tasks.reports.pulse", status="SUCCESS"), "Beat sends a pulse"
    )

    assert stack.outcome(pulse["result"])["result"]["title"] == "pulse"


@pytest.mark.usefixtures("started")
def test_urgent_messages_overtake_the_others(stack: Stack) -> None:
    published = stack.play("priorities")

    stack.worker("priorities", 1)

    done = sorted((stack.outcome(task_id)["date_done"], priority) for priority, task_id in published)
    assert [priority for _, priority in done] == [0, 0, 0, 3, 3, 3, 6, 6, 6]
