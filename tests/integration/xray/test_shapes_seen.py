"""What is said of chords in every state, by workers of a project with the default settings."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.integration.xray.scene import HOUR, Scene
from tests.integration.xray.stranger import causes, document, header_ids, place_kinds
from tests.support.polling import wait_until


def test_a_running_task_that_left_no_trace_is_a_missing_index_that_may_be_what_runs(scene: Scene) -> None:
    ids = header_ids(scene.results["running"])
    sighting = scene.stranger.sight_when(
        scene.id("running"), lambda seen: seen.chord.counted == 2, "two parts are counted"
    )
    seen = document(sighting)

    assert (seen["state"], seen["health"], seen["size"], seen["counted"]) == ("open", "ok", 3, 2)
    assert seen["missing"] == [{"index": 1, "task_id": None, "name": None}]
    (verdict,) = seen["verdicts"]
    assert (verdict["cause"], verdict["outcome"], verdict["certain"]) == ("header_running", "ok", False)
    assert verdict["summary"].startswith("1 part not located: ")
    assert place_kinds(sighting) == {}
    assert [(part["index"], part["task_id"], part["counted"], part["state"]) for part in seen["header"]] == [
        (0, ids[0], True, "succeeded"),
        (2, ids[2], True, "succeeded"),
    ]
    assert abs(seen["progressed_at"] - scene.published_at) < 10
    assert abs(seen["evidence_expires_at"] - seen["progressed_at"] - 86400) < 5


def test_tasks_behind_a_busy_worker_are_queued_or_reserved(scene: Scene) -> None:
    ids = header_ids(scene.results["busy"])
    sighting = scene.stranger.sight_when(
        scene.id("busy"), lambda seen: "reserved" in place_kinds(seen).values(), "the first task runs"
    )

    assert (sighting.chord.state, sighting.chord.health) == ("open", "waiting")
    assert sorted(gap.index for gap in sighting.chord.missing) == [0, 1, 2, 3]
    kinds = place_kinds(sighting)
    assert [kinds.get(id_) for id_ in ids] == [None, "reserved", "queue", "queue"]
    assert sighting.places[ids[1]].name == "busy@here"
    assert sighting.places[ids[3]].name == "busy"
    assert causes(sighting.chord) == ["queued", "queued"]
    assert sighting.chord.callback.name == "project.collect"
    assert sighting.chord.callback.task_id == scene.results["busy"].id
    assert abs((sighting.chord.opened_at or 0) - scene.published_at) < 5


@pytest.mark.parametrize(
    ("name", "cause", "attempt"), [("eta", "eta_scheduled", 0), ("retry", "retry_scheduled", 1)]
)
def test_a_task_that_waits_for_its_time_is_due_when_it_will_run(
    scene: Scene, name: str, cause: str, attempt: int
) -> None:
    ids = header_ids(scene.results[name])
    sighting = scene.stranger.sight_when(
        scene.id(name),
        lambda seen: seen.chord.counted == 1 and causes(seen.chord) == [cause],
        f"the verdict {cause}",
    )

    assert sighting.chord.health == "waiting"
    verdict = sighting.chord.verdicts[0]
    assert verdict.tasks == (ids[1],)
    assert verdict.certain
    assert abs((verdict.recovers_at or 0) - (scene.published_at + HOUR)) < 4
    place = sighting.places[ids[1]]
    assert (place.kind, place.name, place.attempt) == ("scheduled", "main@here", attempt)
    message = scene.stranger.app.control.inspect(["main@here"]).scheduled()["main@here"]
    due = next(entry["eta"] for entry in message if entry["request"]["id"] == ids[1])
    assert abs((verdict.recovers_at or 0) - datetime.fromisoformat(due).timestamp()) < 2


def test_a_header_task_in_a_queue_that_nobody_reads_hangs_the_chord(scene: Scene) -> None:
    ids = header_ids(scene.results["unread"])
    sighting = scene.stranger.sight_when(
        scene.id("unread"), lambda seen: seen.chord.counted == 1, "one part is counted"
    )

    assert (sighting.chord.state, sighting.chord.health) == ("open", "hung")
    assert causes(sighting.chord) == ["queue_unconsumed"]
    assert sighting.chord.verdicts[0].tasks == (ids[1],)
    assert "nobody" in sighting.chord.verdicts[0].summary
    assert (sighting.places[ids[1]].kind, sighting.places[ids[1]].name) == ("queue", "nobody")
    assert [(gap.index, gap.name) for gap in sighting.chord.missing] == [(1, "project.add")]


def test_a_callback_in_a_queue_that_nobody_reads_hangs_the_chord(scene: Scene) -> None:
    callback_id = scene.results["unread_callback"].id
    sighting = scene.stranger.sight_when(
        scene.id("unread_callback"), lambda seen: bool(seen.chord.verdicts), "a verdict"
    )

    assert (sighting.chord.state, sighting.chord.health) == ("open", "hung")
    assert causes(sighting.chord) == ["callback_queue_unconsumed"]
    assert sighting.chord.missing == ()
    assert sighting.chord.counted == 2
    assert sighting.chord.callback.task_id == callback_id
    assert sighting.chord.callback.queue == "nobody"
    assert place_kinds(sighting) == {callback_id: "queue"}
    by_callback = scene.stranger.sight(callback_id)
    assert by_callback
    assert by_callback.chord.chord_id == sighting.chord.chord_id


def test_a_header_that_failed_while_others_run_can_only_end_badly(scene: Scene) -> None:
    ids = header_ids(scene.results["failing"])
    sighting = scene.stranger.sight_when(
        scene.id("failing"), lambda seen: seen.chord.counted == 1, "the failure is counted"
    )

    assert (sighting.chord.state, sighting.chord.health) == ("open", "failed")
    assert causes(sighting.chord) == ["header_failed"]
    assert sighting.chord.verdicts[0].tasks == (ids[0],)
    assert "ValueError: boom" in sighting.chord.verdicts[0].summary
    assert [gap.index for gap in sighting.chord.missing] == [1]


def test_a_header_that_failed_after_all_others_ended_the_chord(scene: Scene) -> None:
    ids = header_ids(scene.results["failed"])
    sighting = scene.stranger.sight_when(
        scene.id("failed"), lambda seen: seen.chord.state == "failed", "the chord ended"
    )

    assert sighting.chord.health == "failed"
    assert causes(sighting.chord) == ["header_failed"]
    assert sighting.chord.verdicts[0].tasks == (ids[1],)
    assert sighting.chord.missing == ()
    assert sighting.places == {}
    by_callback = scene.stranger.sight(scene.results["failed"].id)
    assert by_callback
    assert by_callback.chord.chord_id == scene.id("failed")


def test_a_callback_that_failed_is_told_from_a_header_that_did(scene: Scene) -> None:
    sighting = scene.stranger.sight_when(
        scene.id("callback_failed"), lambda seen: seen.chord.state == "failed", "the callback failed"
    )

    assert sighting.chord.health == "failed"
    assert causes(sighting.chord) == ["callback_failed"]
    assert sighting.chord.callback.state == "failed"
    assert sighting.chord.callback.error == "ValueError: boom"
    assert (sighting.chord.counted, sighting.chord.missing) == (2, ())


def test_a_chord_that_ended_well_is_found_by_every_id(scene: Scene) -> None:
    result = scene.results["happy"]
    wait_until(result.ready, "the callback ran")
    seen = [
        document(scene.stranger.sight(id_)) for id_ in (scene.id("happy"), result.id, header_ids(result)[2])
    ]

    assert [(s["chord_id"], s["state"], s["health"]) for s in seen] == [
        (scene.id("happy"), "succeeded", "done")
    ] * 3
    assert seen[0]["counted"] == 3
    assert seen[0]["missing"] == []
    assert seen[0]["verdicts"] == []
    assert seen[0]["callback"]["task_id"] == result.id
    assert seen[0]["callback"]["state"] == "succeeded"
    assert abs(seen[0]["finished_at"] - scene.published_at) < 15
