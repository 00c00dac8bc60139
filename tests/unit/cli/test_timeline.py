from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest

from chordwatch.cli.detail import chord_detail
from chordwatch.cli.timeline import time_of_day, timeline
from chordwatch.evidence.facts import Place
from chordwatch.model import Attempt, Callback
from chordwatch.watch import Sighting
from chordwatch.watch.words import span
from tests.unit.cli.rendered import NAMES, text_of
from tests.unit.recorded import ran, recorded, runs
from tests.unit.seen import NOW, header_task, open_chord

WORKER = "worker-7@node.zoo"


def table(*tasks: Any, callback: Callback | None = None, width: int = 80) -> list[list[str]]:
    """Return the cells of each line of the timeline, without its titles."""
    made = timeline(tasks, callback or Callback(), NOW)
    assert made is not None
    return [re.split(r"  +", line.strip()) for line in text_of(made, width).splitlines()[1:]]


def at(seconds: float) -> str:
    return time_of_day(NOW + seconds, NOW)


def test_a_run_tells_its_wait_its_times_and_its_worker() -> None:
    assert table(ran(3)) == [["3", "10.00 s", at(-50), at(-40), "10.00 s", "1", "w1@zoo"]]


def test_a_task_that_runs_tells_for_how_long_it_has() -> None:
    assert table(runs(3)) == [["3", "55.00 s", at(-5), "5.00 s …", "1", "w1@zoo"]]


def test_each_run_of_a_retried_task_has_a_line() -> None:
    attempts = (
        Attempt(attempt=0, state="retrying", worker="w1@zoo", started_at=NOW - 9, finished_at=NOW - 8),
        Attempt(attempt=1, state="succeeded", worker="w2@zoo", started_at=NOW - 2, finished_at=NOW - 1),
    )

    lines = table(ran(3, attempts=attempts))

    assert [line[-2:] for line in lines] == [["1 retrying", "w1@zoo"], ["2 succeeded", "w2@zoo"]]
    assert [line[0] for line in lines] == ["3", at(-2)]


def test_of_many_runs_the_last_are_shown() -> None:
    attempts = tuple(Attempt(attempt=n, state="retrying", started_at=NOW - 99 + n) for n in range(30))

    lines = table(ran(3, attempts=attempts))

    assert lines[0] == ["3", "… 25 runs before"]
    assert [line[-1] for line in lines[1:]] == [f"{n} retrying" for n in range(26, 31)]


def test_the_callback_comes_last() -> None:
    callback = Callback(
        published_at=NOW - 3, started_at=NOW - 2, finished_at=NOW - 1, worker="w1@zoo", attempt=0
    )

    assert table(ran(0), callback=callback)[-1] == [
        "callback",
        "1.00 s",
        at(-2),
        at(-1),
        "1.00 s",
        "1",
        "w1@zoo",
    ]


def test_what_nobody_timed_has_no_line() -> None:
    assert timeline([header_task(0), header_task(1, finished_at=NOW)], Callback(), NOW) is None
    assert len(table(header_task(0), ran(1))) == 1


def test_a_task_without_an_index_is_named_by_its_id() -> None:
    assert table(ran(0, index=None, task_id="0123456789"))[0][0] == "0123456…"


@pytest.mark.parametrize("width", [80, 160])
def test_a_timeline_fits_a_terminal(width: int) -> None:
    attempts = (
        Attempt(attempt=0, state="succeeded", worker=WORKER, published_at=NOW - 9, started_at=NOW - 8),
    )
    made = timeline([ran(99_999, worker=WORKER, attempts=attempts)], Callback(), NOW)
    assert made is not None
    lines = text_of(made, width).splitlines()

    assert max(map(len, lines)) <= width
    assert len(lines) == 2
    assert lines[1].rstrip().endswith(WORKER)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_foreign_names_are_literal_and_short(name: str) -> None:
    made = timeline([ran(0, index=None, task_id=name, worker=name, attempts=())], Callback(), NOW)
    assert made is not None
    text = text_of(made, 500)

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) < 300


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-1, "0.00 s"), (0.123, "0.12 s"), (59.994, "59.99 s"), (61, "1 min 1 s")]
)
def test_a_span_of_a_task_is_told_to_the_hundredth(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


def test_a_time_of_another_day_has_its_day() -> None:
    day = datetime.fromtimestamp(NOW - 86_400).astimezone()

    assert time_of_day(NOW - 86_400, NOW) == f"{day:%m-%d %H:%M:%S}"
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d\d\d", time_of_day(NOW, NOW))
    assert time_of_day(None, NOW) == ""


def test_a_recorded_chord_is_shown_with_its_timeline_and_another_without() -> None:
    shown = text_of(chord_detail(Sighting(chord=recorded().chord), NOW), 80)

    assert "WAITED" in shown
    assert at(-50) in shown
    assert "WAITED" not in text_of(chord_detail(Sighting(chord=open_chord()), NOW), 80)


def test_a_task_that_waits_tells_for_how_long_it_has() -> None:
    waiting = header_task(3, published_at=NOW - 7, state="published")

    assert table(waiting) == [["3", "7.00 s …"]]
    assert table(header_task(3, published_at=NOW - 7, finished_at=NOW, state="revoked"))[0] == [
        "3",
        at(0),
        "1",
    ]


def test_a_recorded_chord_tells_its_progress_while_it_is_open_and_how_long_it_took() -> None:
    still_open = text_of(chord_detail(Sighting(chord=recorded().chord), NOW))
    over = recorded(state="succeeded", finished_at=NOW - 30)
    finished = text_of(chord_detail(Sighting(chord=over.chord), NOW))

    assert re.search(r"^Progress .* \(5 s ago\)", still_open, re.MULTILINE)
    assert re.search(r"^Finished .* \(after 30\.00 s\)", finished, re.MULTILINE)
    assert "Progress" not in finished


def test_without_anything_to_say_of_places_their_column_is_left_out() -> None:
    over = recorded(state="succeeded", header=(ran(0), ran(1)), counted=2, missing=())

    assert "WHERE" not in text_of(chord_detail(Sighting(chord=over.chord), NOW))
    assert "WHERE" in text_of(
        chord_detail(Sighting(chord=recorded().chord, places={"h1": Place(kind="nowhere")}), NOW)
    )
