from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chordwatch.diagnosis import Case, diagnose
from chordwatch.diagnosis.rules.candidates import MOST
from chordwatch.evidence.facts import Place, Server, WorkerPlace, WorkerTask
from chordwatch.model import HeaderTask, MissingPart
from tests.unit.judged import NOWHERE, alive, case, causes, life, said, started, told
from tests.unit.seen import NOW, consumers, header_task, in_queue, keys, meta, open_chord, part

OLD = consumers(alive())
LOST = {"h1": NOW - 5}
ONE = keys(size=2, parts=(part(0),))


def named(**fields: Any) -> Case:
    """Return a chord of which nobody told, and one part by its id is nowhere."""
    usual: dict[str, Any] = {"nowhere_since": LOST, "keys": ONE, "who": OLD}
    return case(fields.pop("places", {"h1": NOWHERE}), **{**usual, **fields})


def nameless(**fields: Any) -> Case:
    """Return a chord of which nobody told, and of one part only the index is known."""
    header = (header_task(0, counted=True, state="succeeded", finished_at=NOW - 90),)
    chord = open_chord(header=header, missing=(MissingPart(index=1),), progressed_at=NOW - 90)
    usual: dict[str, Any] = {"nameless_since": NOW - 5, "keys": ONE, "who": OLD, "chord": chord}
    return case({}, **{**usual, **fields})


@pytest.mark.parametrize("there", [named(), nameless()])
def test_a_part_that_is_nowhere_has_several_candidates_each_with_a_question(there: Case) -> None:
    found = causes(there)

    assert found[:1] == ["worker_lost"]
    assert {"header_ignored", "header_undecodable"} <= set(found)
    assert len(found) == len(set(found)) <= MOST
    for cause in found:
        verdict = said(there, cause)
        assert (verdict.certain, verdict.outcome) == (False, "hung")
        assert verdict.question


def test_a_candidate_says_what_was_looked_at() -> None:
    verdict = said(named(blind=("The broker refuses INFO.",)), "worker_lost")

    assert verdict.tasks == ("h1",)
    assert verdict.summary == "1 part is nowhere and never counted: a worker may have died while it had it."
    assert verdict.evidence == (
        (
            "zoo.add (index 1) h1 is in no queue, not unacknowledged, and at no worker "
            "since 2026-11-20 15:44:04 UTC."
        ),
        "Online at 2026-11-20 15:44:09 UTC: w1@zoo.",
        "The broker refuses INFO.",
    )
    assert verdict.question == (
        "Did a worker die or restart between 2026-11-20 15:43:09 UTC and 2026-11-20 15:44:04 UTC?"
    )


def test_the_index_of_a_part_without_a_name_is_told() -> None:
    assert (
        said(nameless(), "worker_lost").evidence[0].startswith("1 part is missing (index 1), in no queue, ")
    )


def test_a_worker_that_was_started_since_makes_its_loss_likelier() -> None:
    newer = consumers(alive(started_at=NOW - 30))

    verdict = said(nameless(who=newer), "worker_lost")
    assert "w1@zoo was started at 2026-11-20 15:43:39 UTC." in verdict.evidence
    assert causes(nameless(who=newer))[0] == "worker_lost"


def test_a_backend_that_refuses_writes_comes_first() -> None:
    full = Server(maxmemory=1_000_000, maxmemory_policy="noeviction")

    assert causes(named(backend=full))[0] == "backend_write_failed"
    assert "1,000,000 bytes" in said(named(backend=full), "backend_write_failed").evidence[-1]


def test_a_broker_that_was_restarted_may_have_lost_the_message() -> None:
    assert causes(nameless(broker=Server(started_at=NOW - 30)))[0] == "message_lost"


def test_a_task_that_started_on_a_worker_that_lives_was_no_lost_message() -> None:
    running = meta("h1", state="started", worker="w1@zoo", finished_at=None)

    assert causes(named(metas={"h1": running})) == ["header_ignored", "backend_write_failed"]


def test_a_refused_task_without_a_group_may_be_the_missing_one() -> None:
    refused = meta("x", state="failed", error_type="NotRegistered", error="NotRegistered: 'zoo.x'")

    there = nameless(strays=(refused,))
    assert causes(there)[0] == "header_unregistered"
    assert (
        "x ended at 2026-11-20 15:44:04 UTC with NotRegistered: 'zoo.x'."
        in said(there, "header_unregistered").evidence
    )
    old = replace(refused, finished_at=NOW - 151)
    assert "header_unregistered" not in causes(nameless(strays=(old,)))
    assert "header_unregistered" not in causes(named(strays=(refused,)))


def test_a_chord_that_failed_meanwhile_may_be_an_inner_one() -> None:
    failed = meta("x", state="failed", error="ChordError: Dependency y raised ValueError('x')")

    assert "nested_chord_failed" in causes(nameless(strays=(failed,)))


def none_counted(**fields: Any) -> Case:
    missing = (MissingPart(index=0), MissingPart(index=1))
    chord = open_chord(header=(), counted=0, missing=missing, progressed_at=NOW - 61)
    return nameless(**{"chord": chord, "keys": keys(size=2), **fields})


def test_without_any_part_the_results_may_be_elsewhere() -> None:
    assert causes(none_counted())[0] == "backend_mismatch"
    assert said(none_counted(), "worker_lost").summary.startswith("2 parts are nowhere and never counted")
    busy = consumers(alive(tasks=(WorkerTask(task_id="x", name="zoo.nap", kind="active"),)))
    assert "backend_mismatch" not in causes(none_counted(who=busy))
    assert "backend_mismatch" not in causes(none_counted(metas={"h0": meta("h0")}))


@pytest.mark.parametrize(
    "there",
    [
        named(nowhere_since={}),
        named(places={"h1": Place(kind="active", name="w1@zoo", since=NOW - 3)}),
        named(places={"h1": in_queue()}),
        named(metas={"h1": meta("h1", group_id="group", finished_at=NOW - 1)}),
        named(chord=open_chord(state="failed")),
        named(related={"h1": open_chord(chord_id="inner")}),
        nameless(nameless_since=None),
        nameless(keys=keys(parts=(part(0),))),
        nameless(keys=keys(size=1, added=1, parts=(part(0),))),
        nameless(keys=keys(size=2, claim="done")),
        nameless(metas={"body": meta("body")}),
    ],
)
def test_a_part_that_may_go_on_or_is_explained_has_no_candidates(there: Case) -> None:
    assert not {"worker_lost", "header_ignored", "unknown"} & set(causes(there))


def recorded(task: HeaderTask, **fields: Any) -> Case:
    usual: dict[str, Any] = {"who": OLD, "nowhere_since": LOST, "lives": {"w1@zoo": (life(),)}}
    return told({"h1": NOWHERE}, task, **{**usual, **fields})


def test_what_a_worker_would_have_told_is_not_guessed() -> None:
    verdict = said(recorded(started()), "unknown")

    assert (verdict.outcome, verdict.certain, verdict.tasks) == ("waiting", False, ("h1",))
    assert "report" in verdict.remedy
    assert causes(recorded(started())) == ["unknown"]
    assert causes(recorded(started(), nowhere_since={})) == []


def test_a_worker_that_has_not_beaten_since_a_task_is_missed_may_have_died_or_tell_of_it_yet() -> None:
    missed = LOST["h1"]

    assert causes(recorded(started(), lives={"w1@zoo": (life(last_beat_at=missed),)})) == []
    assert causes(recorded(started(), lives={"w1@zoo": (life(last_beat_at=missed + 1),)})) == ["unknown"]


def test_a_part_without_an_id_may_be_what_a_worker_runs_of_which_nobody_tells_the_chord() -> None:
    task = WorkerTask(task_id="t9", name="zoo.nap", kind="active", started_at=NOW - 9)
    stranger = WorkerPlace(hostname="w1@zoo", task=task)
    there = nameless(nameless_since=None, strangers=(stranger,))

    (verdict,) = diagnose(there)
    assert (verdict.cause, verdict.outcome, verdict.certain, verdict.tasks) == (
        "header_running",
        "ok",
        False,
        (),
    )
    assert verdict.summary == (
        "1 part not located: 1 task on w1@zoo may be it; otherwise it is lost, or on the way."
    )
    assert verdict.evidence == ("zoo.nap t9 is active on w1@zoo since 2026-11-20 15:44:00 UTC.",)
    assert "header_running" not in causes(replace(there, nameless_since=NOW - 60, strangers=()))
