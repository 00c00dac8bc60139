from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from dashboard_fakes import HOSTILE, NOW, FakeSource, board, row
from page_elements import assert_only_literal, texts

from chordwatch.board.rows import QueueRow
from chordwatch.board.samples import Sample
from chordwatch.errors import UnreachableError

Open = Callable[..., Any]

READ = QueueRow(name="default", length=3, unacked=1, consumers=2)
UNREAD = QueueRow(name="low", length=37, unacked=0, consumers=0, oldest_at=NOW - 90, stuck=2)


def samples(*moments: dict[str, int]) -> tuple[Sample, ...]:
    first = NOW - 60 * len(moments)
    return tuple(Sample(at=first + 60 * number, queues=queues) for number, queues in enumerate(moments))


def scales(page: Any) -> dict[str, Any]:
    """Return the scales of the chart's axes."""
    (chart,) = page.get("arrow_vega_lite_chart") or page.get("vega_lite_chart")
    encoding = json.loads(chart.proto.spec)["encoding"]
    return {axis: encoding[axis].get("scale") for axis in ("x", "y")}


def drawn(page: Any) -> set[str]:
    """Return the names of the queues in the chart, which are its data."""
    import pyarrow as pa  # noqa: PLC0415  # comes with Streamlit

    (chart,) = page.get("arrow_vega_lite_chart") or page.get("vega_lite_chart")
    packed = chart.proto.datasets[0].data.data or chart.proto.data.data
    return set(pa.ipc.open_stream(packed).read_pandas()["queue"])


def test_a_queue_that_nobody_reads_is_told_at_once(open_page: Open) -> None:
    page = open_page("queues", FakeSource(board(queues=(UNREAD, READ))))

    assert not page.exception
    assert texts(page.header) == ["40 tasks wait, :red[in 1 queue that no worker reads]"]
    first = page.dataframe[0].value.iloc[0].to_dict()
    assert first.pop("oldest").timestamp() == NOW - 90
    assert first == {
        "name": "low",
        "length": 37,
        "unacked": 0,
        "consumers": "0: nobody takes its tasks",
        "stuck": 2,
    }


def test_stuck_chords_are_shown_by_the_queue_that_they_wait_on(open_page: Open) -> None:
    rows = (row("a", "hung"), row("b", "hung"), row("elsewhere", "hung", queues=()), row("late", "late"))
    page = open_page("queues", FakeSource(board(*rows, queues=(UNREAD,))))

    assert "Stuck chords by queue" in texts(page.subheader)
    assert list(page.dataframe[1].value["says"]) == ["2 chords wait on queue low"]


def test_queues_that_are_read_are_not_red_and_nobody_waits(open_page: Open) -> None:
    page = open_page(
        "queues", FakeSource(board(row(), queues=(QueueRow(name="q", length=1, unacked=0, consumers=1),)))
    )

    assert texts(page.header) == ["1 task waits"]
    assert texts(page.subheader) == ["Depth over time"]


def test_depth_over_time_ends_with_what_is_now(open_page: Open) -> None:
    source = FakeSource(board(queues=(UNREAD,)), samples=samples({"low": 1}, {"before": 9}))
    page = open_page("queues", source)

    assert drawn(page) == {"low", "before"}
    assert ("history", 3600.0) in source.asked


@pytest.mark.parametrize(("longest", "top"), [(0, 1), (37, 37)])
def test_the_axes_have_their_range_however_little_there_is_to_draw(
    open_page: Open, longest: int, top: int
) -> None:
    queue = QueueRow(name="low", length=0, unacked=0, consumers=1)
    page = open_page("queues", FakeSource(board(queues=(queue,)), samples=samples({"low": longest})))

    assert scales(page)["x"] == {"domain": {"expr": f"[{(NOW - 3600) * 1000:.0f}, {NOW * 1000:.0f}]"}}
    assert scales(page)["y"] == {"domain": [0, top], "nice": True}


def test_without_any_queue_there_is_no_chart(open_page: Open) -> None:
    page = open_page("queues", FakeSource(board(queues=()), samples=samples({}, {})))

    assert not page.exception
    assert not page.get("arrow_vega_lite_chart") + page.get("vega_lite_chart")
    assert "No queue was seen in this time." in texts(page.caption)


def test_a_longer_range_asks_for_a_longer_history(open_page: Open) -> None:
    source = FakeSource(board(queues=(UNREAD,)), samples=samples({"low": 1}))
    page = open_page("queues", source)
    control = page.get("button_group")[0]

    control.set_value(["7 d"] if isinstance(control.value, list) else "7 d").run()

    assert not page.exception
    assert ("history", 604_800.0) in source.asked


@pytest.mark.parametrize("answer", [(), UnreachableError("No store.")])
def test_without_a_history_the_page_says_who_writes_it(open_page: Open, answer: Any) -> None:
    page = open_page("queues", FakeSource(board(), samples=answer))

    assert not page.error
    assert any("a monitor writes it" in caption for caption in texts(page.caption))


def test_no_queue_says_when_one_is_seen(open_page: Open) -> None:
    page = open_page("queues", FakeSource(board(queues=())))

    assert texts(page.header) == ["No queue was seen"]
    assert "when a task waits in it" in page.info[0].value
    assert not page.dataframe


def test_of_a_thousand_queues_the_longest_are_drawn_and_counted(open_page: Open) -> None:
    queues = tuple(QueueRow(name=f"q{n}", length=1000 - n, unacked=0, consumers=1) for n in range(1000))
    lengths = {queue.name: queue.length for queue in queues[:100]}
    page = open_page("queues", FakeSource(board(queues=queues), samples=samples(*[lengths] * 60)))

    assert texts(page.header) == ["500,500 tasks wait"]
    assert len(page.dataframe[0].value) == 500
    assert any("500 shorter queues are not shown" in caption for caption in texts(page.caption))
    assert drawn(page) == {f"q{n}" for n in range(10)}


def test_a_store_that_is_down_is_a_sentence(open_page: Open) -> None:
    page = open_page("queues", FakeSource(UnreachableError("The store is down.")))

    assert not page.exception
    assert texts(page.error) == ["**The chords cannot be read.**"]
    assert texts(page.text) == ["The store is down."]


def test_foreign_text_reaches_no_element_that_parses_it(open_page: Open) -> None:
    names = [f"zebra {text}" for text in HOSTILE]
    queues = tuple(QueueRow(name=name, length=1, unacked=0, consumers=0) for name in names)
    rows = (row(name, "hung", queues=(name,), why=name, callback=name, remedy=name) for name in names)
    history = samples(*[dict.fromkeys(names, 5)] * 3)
    page = open_page("queues", FakeSource(board(*rows, queues=queues), samples=history))

    assert not page.exception
    assert len(drawn(page)) == 10
    assert_only_literal(page)
