from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chordwatch.board.timeline import (
    MAX_AHEAD,
    MAX_ATTEMPTS,
    NOBODY,
    TITLE,
    Bar,
    Timeline,
    runs_of,
    straggler_of,
    timeline_of,
)
from chordwatch.model import Attempt, Callback, Chord
from tests.unit.cli.rendered import verdict
from tests.unit.recorded import ran, recorded, runs
from tests.unit.seen import NOW, header_task, open_chord

HOSTILE = "▸ one\ntwo\x1b[31m\u202e" + "x" * 5000


def attempt(number: int, state: Any, *times: float | None, worker: str | None = "w1@zoo") -> Attempt:
    """Return an attempt that was published, started and finished so many seconds after `NOW - 100`."""
    published, started, finished = (None if at is None else NOW - 100 + at for at in times)
    return Attempt(
        attempt=number,
        state=state,
        worker=worker,
        published_at=published,
        started_at=started,
        finished_at=finished,
    )


def told(bars: tuple[Bar, ...]) -> list[tuple[str, str, float, float]]:
    """Return lane, kind, begin and end of the bars, in seconds after `NOW - 100`."""
    return [(bar.lane, bar.kind, bar.begin - NOW + 100, bar.end - NOW + 100) for bar in bars]


def of_task(timeline: Timeline, lane: str) -> list[tuple[str, float, float]]:
    return [(kind, begin, end) for name, kind, begin, end in told(timeline.bars) if name == lane]


def finished(*header: Any, **fields: Any) -> Chord:
    """Return a chord that has succeeded, its callback started 5 s after the last part."""
    last = max(task.finished_at for task in header)
    usual: dict[str, Any] = {
        "state": "succeeded",
        "health": "done",
        "header": header,
        "missing": (),
        "size": len(header),
        "counted": len(header),
        "opened_at": NOW - 100,
        "finished_at": last + 8,
        "callback": Callback(
            task_id="body",
            name="zoo.collect",
            state="succeeded",
            worker="w2@zoo",
            published_at=last + 1,
            started_at=last + 5,
            finished_at=last + 8,
        ),
    }
    return open_chord(**{**usual, **fields})


def part(number: int, ended: float, **fields: Any) -> Any:
    """Return a counted part that was sent at 0, started at 1 and ended so many seconds after `NOW - 100`."""
    run = attempt(0, "succeeded", 0.0, 1.0, ended)
    usual = {"finished_at": run.finished_at, "published_at": run.published_at, "started_at": run.started_at}
    return ran(number, **{**usual, "attempts": (run,), **fields})


def test_a_part_waits_and_runs() -> None:
    timeline = timeline_of(finished(part(0, 3.0), part(1, 9.0)), NOW)

    assert of_task(timeline, "0 · zoo.add") == [("waited", 0, 1), ("ran", 1, 3)]


def test_each_attempt_has_a_lane_and_the_gap_before_a_retry_is_a_bar() -> None:
    attempts = (
        attempt(0, "retrying", 0.0, 1.0, 2.0),
        attempt(1, "succeeded", 2.0, 7.0, 9.0, worker="w2@zoo"),
    )
    timeline = timeline_of(finished(part(0, 9.0, attempts=attempts), part(1, 3.0)), NOW)

    assert of_task(timeline, "0 · zoo.add") == [("waited", 0, 1), ("ran, to be retried", 1, 2)]
    assert of_task(timeline, "0 · zoo.add · run 2") == [("waited for a retry", 2, 7), ("ran", 7, 9)]
    lanes = list(timeline.lanes)
    assert lanes.index(f"{TITLE}w2@zoo") < lanes.index("0 · zoo.add · run 2")
    assert lanes.index("0 · zoo.add") < lanes.index(f"{TITLE}w2@zoo")


def test_the_header_waits_until_the_last_part_and_the_callback_from_then_on() -> None:
    timeline = timeline_of(finished(part(0, 3.0), part(1, 9.0)), NOW)

    assert timeline.lanes[:2] == ("header", "callback")
    assert of_task(timeline, "header") == [("header", 0, 9)]
    assert of_task(timeline, "callback") == [("waited", 9, 14), ("ran", 14, 17)]
    assert timeline.complete_at == NOW - 91


def test_a_callback_that_began_has_ended_the_barrier_whatever_was_noted_later() -> None:
    late = replace(finished(part(0, 3.0), part(1, 9.0)).callback, published_at=NOW - 98)

    assert timeline_of(finished(part(0, 3.0), part(1, 9.0), callback=late), NOW).complete_at == NOW - 98


def test_what_has_failed_looks_so() -> None:
    attempts = (attempt(0, "failed", 0.0, 1.0, 2.0),)

    timeline = timeline_of(finished(part(0, 2.0, state="failed", attempts=attempts), part(1, 3.0)), NOW)

    assert of_task(timeline, "0 · zoo.add") == [("waited", 0, 1), ("failed", 1, 2)]


def test_a_run_that_was_lost_ends_with_its_worker() -> None:
    lost = verdict(cause="worker_lost", certain=True, tasks=("h1",), since=NOW - 2)
    chord = recorded(header=(ran(0), runs(1)), verdicts=(lost,)).chord

    (waited, run) = [bar for bar in timeline_of(chord, NOW).bars if bar.lane == "1 · zoo.add"]

    assert (waited.kind, waited.end) == ("waited", NOW - 5)
    assert (run.kind, run.end, run.seconds) == ("lost with its worker", NOW - 2, 3)


def test_a_task_that_was_received_and_lost_waits_no_longer() -> None:
    lost = verdict(cause="worker_lost", certain=True, tasks=("h1",), since=NOW - 2)
    received = attempt(0, "received", 40.0, None, None)
    chord = recorded(header=(ran(0), runs(1, started_at=None, attempts=(received,))), verdicts=(lost,)).chord

    (waited,) = [bar for bar in timeline_of(chord, NOW).bars if bar.lane == "1 · zoo.add"]

    assert (waited.kind, waited.end) == ("waited", NOW - 2)


def test_a_run_that_is_perhaps_lost_goes_on() -> None:
    lost = verdict(cause="worker_lost", certain=False, tasks=("h1",), since=NOW - 2)
    chord = recorded(header=(ran(0), runs(1)), verdicts=(lost,)).chord

    assert ("runs", NOW) in [(bar.kind, bar.end) for bar in timeline_of(chord, NOW).bars]


def test_a_callback_that_was_lost_ends_with_its_worker() -> None:
    lost = verdict(cause="worker_lost", certain=True, tasks=("body",), since=NOW - 2)
    callback = Callback(
        task_id="body", state="started", worker="w1@zoo", published_at=NOW - 9, started_at=NOW - 8
    )
    chord = recorded(header=(ran(0),), missing=(), size=1, callback=callback, verdicts=(lost,)).chord

    run = timeline_of(chord, NOW).bars[-3]

    assert (run.lane, run.kind, run.end) == ("callback", "lost with its worker", NOW - 2)


def test_what_goes_on_goes_on_until_now() -> None:
    chord = recorded(header=(ran(0), runs(1))).chord

    (waited, running) = [bar for bar in timeline_of(chord, NOW).bars if bar.lane == "1 · zoo.add"]

    assert (waited.kind, running.kind, running.end, running.seconds) == ("waited", "runs", NOW, 5)


def test_a_part_that_no_worker_has_waits_under_a_title_of_its_own_at_the_end() -> None:
    chord = recorded(header=(ran(0), header_task(1, state="published", published_at=NOW - 60))).chord

    timeline = timeline_of(chord, NOW)

    assert timeline.lanes[-2:] == (f"{TITLE}{NOBODY}", "1 · zoo.add")
    assert [bar.kind for bar in timeline.bars if bar.lane == "1 · zoo.add"] == ["waited"]


def test_the_straggler_is_the_part_that_ended_last_and_is_marked() -> None:
    chord = finished(part(0, 2.0), part(1, 3.0), part(2, 30.0))
    found = straggler_of(chord)
    timeline = timeline_of(chord, NOW)

    assert found is not None
    assert (found[0].index, found[1]) == (2, 27)
    assert [(bar.lane, bar.kind) for bar in timeline.bars if bar.last] == [("2 · zoo.add", "ran")]
    assert timeline.straggler == (
        "Straggler: index 2, zoo.add on w1@zoo ended last, 27.00 s after the median of 3 parts."
    )


@pytest.mark.parametrize(
    "chord",
    [
        recorded().chord,
        recorded(header=()).chord,
        finished(part(0, 3.0)),
    ],
    ids=["not complete", "nothing known", "alone"],
)
def test_nobody_is_a_straggler_before_the_end_or_alone(chord: Chord) -> None:
    assert straggler_of(chord) is None
    assert timeline_of(chord, NOW).straggler == ""


def test_after_a_long_silence_what_happened_is_still_seen() -> None:
    chord = recorded(
        opened_at=NOW - 86_400, header=(part(0, 1.0), runs(1, started_at=NOW - 99, published_at=NOW - 100))
    )
    long_ago = replace(chord.chord, opened_at=NOW - 100)

    timeline = timeline_of(long_ago, NOW + 86_400)

    assert timeline.quiet.startswith("Nothing has happened for 1 d")
    running = next(bar for bar in timeline.bars if bar.kind == "runs")
    assert running.end < NOW - 90
    assert running.seconds == 86_400 + 99
    assert timeline_of(long_ago, NOW - 98).quiet == ""


def test_of_a_large_header_the_slowest_and_the_straggler_are_drawn_and_it_is_said() -> None:
    quick = [part(number, 1.5) for number in range(3000)]
    slow = [part(number, 60.0 + number / 1000) for number in range(3000, 3150)]
    ahead = [header_task(number, state="published", published_at=NOW - 60) for number in range(4000, 5000)]
    chord = recorded(header=(*quick, *slow, *ahead), size=4150).chord

    timeline = timeline_of(chord, NOW)

    tasks = {bar.lane for bar in timeline.bars} - {"header"}
    assert len(tasks) == MAX_ATTEMPTS
    assert {f"{number} · zoo.add" for number in range(3000, 3150)} <= tasks
    assert (
        timeline.cut
        == f"The {MAX_ATTEMPTS - MAX_AHEAD:,} slowest of 3,150 attempts, and 20 of 1,000 that have not begun."
    )


def test_parts_with_equal_indexes_have_lanes_of_their_own() -> None:
    timeline = timeline_of(finished(part(0, 2.0, task_id="a"), part(0, 3.0, task_id="b")), NOW)

    assert {"0 · zoo.add", "0 · zoo.add (2)"} <= set(timeline.lanes)


@pytest.mark.parametrize("chord", [open_chord(), open_chord(header=(), opened_at=None)])
def test_without_times_there_is_nothing_to_draw(chord: Chord) -> None:
    assert timeline_of(chord, NOW) == Timeline()


def test_a_clock_that_is_ahead_gives_no_bar_backwards() -> None:
    backwards = attempt(0, "succeeded", 5.0, 2.0, 1.0)

    timeline = timeline_of(finished(part(0, 1.0, attempts=(backwards,)), part(1, 3.0)), NOW)

    assert all(bar.end >= bar.begin and bar.seconds >= 0 for bar in timeline.bars)


def test_foreign_names_are_short_lines() -> None:
    odd = part(0, 2.0, name=HOSTILE, attempts=(attempt(0, "succeeded", 0.0, 1.0, 2.0, worker=HOSTILE),))
    timeline = timeline_of(finished(odd, part(None, 3.0, task_id=HOSTILE, name=None)), NOW)  # type: ignore[arg-type]

    texts = [
        *timeline.lanes,
        timeline.straggler,
        *(text for bar in timeline.bars for text in (bar.task, bar.worker)),
    ]
    assert all(text.isprintable() and len(text) < 200 for text in texts)


def test_the_lone_run_of_a_task_is_what_is_known_of_it() -> None:
    assert runs_of(header_task(0, finished_at=NOW)) == ()
    (only,) = runs_of(Callback(task_id="body", attempt=2, started_at=NOW, worker="w1@zoo"))
    assert (only.attempt, only.started_at, only.worker) == (2, NOW, "w1@zoo")
