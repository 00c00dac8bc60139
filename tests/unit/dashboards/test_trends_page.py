from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest
from dashboard_fakes import HOSTILE, NOW, FakeSource, board

from chordwatch.board.history import Sample, Tally
from chordwatch.errors import SettingError, UnreachableError
from chordwatch.text import plain

pytest.importorskip("streamlit", reason="Streamlit is not installed: the extra `dashboard`")

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

    Open = Callable[..., AppTest]

TITLES = [
    "**Mean duration**",
    "**95th percentile of duration**",
    "**Mean barrier**",
    "**Share of waiting for stragglers**",
    "**Retries**",
    "**Failed chords**",
]


def tally(finished: int) -> Tally:
    return Tally(
        started=finished,
        succeeded=finished,
        failed=finished // 4,
        retries=finished,
        duration=(finished, 4.0 * finished),
        barrier=(finished, 2.0 * finished),
        straggler=(finished, 1.0 * finished),
        buckets=(0, finished, 0),
    )


def history(names: Iterable[str], *, samples: int = 5) -> tuple[Sample, ...]:
    """Return samples of a history in which each callback is busier than the next."""
    named = list(enumerate(names))
    return tuple(
        Sample(
            at=NOW - 60 * (samples - 1 - step),
            callbacks={name: tally(100 * step + (len(named) - index) * step) for index, name in named},
            bounds=(1.0, 10.0),
        )
        for step in range(samples)
    )


def texts(elements: Any) -> list[str]:
    return [element.value for element in elements]


def charts(page: AppTest) -> list[Any]:
    return [element.proto for element in page.get("vega_lite_chart")]


def domain(chart: Any) -> list[str]:
    return json.loads(chart.spec)["encoding"]["color"]["scale"]["domain"]


def chosen(page: AppTest) -> list[str]:
    return page.multiselect[0].value


def test_the_busiest_callbacks_are_drawn_and_all_are_in_the_table(open_page: Open) -> None:
    names = [f"tasks.{letter}" for letter in "abcdefg"]
    page = open_page("trends", FakeSource(samples=history(names)))

    assert not page.exception
    assert chosen(page) == names[:5]
    assert [text for text in texts(page.markdown) if text in TITLES] == TITLES
    assert len(charts(page)) == 6
    assert all(domain(chart) == names[:5] for chart in charts(page))
    table = page.dataframe[0].value
    assert list(table["callback"]) == names
    assert table.iloc[0][["started", "mean_duration", "straggler_share"]].tolist() == [428, 4.0, 0.5]


def test_the_address_chooses_callback_and_range(open_page: Open) -> None:
    source = FakeSource(samples=history(["tasks.a", "tasks.b"]))
    page = open_page("trends", source, callback="tasks.b", range="7d")

    assert not page.exception
    assert chosen(page) == ["tasks.b"]
    assert ("history", 7 * 86_400.0) in source.asked
    assert all(domain(chart) == ["tasks.b"] for chart in charts(page))


def test_what_is_chosen_goes_into_the_address(open_page: Open) -> None:
    source = FakeSource(samples=history(["tasks.a", "tasks.b"]))
    page = open_page("trends", source)
    page.multiselect[0].set_value(["tasks.b"]).run()
    page.segmented_control[0].set_value("30d").run()

    assert not page.exception
    assert page.query_params["callback"] == "tasks.b"
    assert page.query_params["range"] == "30d"
    assert chosen(page) == ["tasks.b"]
    assert source.asked[-2:] == [("board",), ("history", 30 * 86_400.0)]


def test_an_address_that_was_gone_back_to_chooses_again(open_page: Open) -> None:
    page = open_page("trends", FakeSource(samples=history(["tasks.a", "tasks.b"])), callback="tasks.b")
    page.multiselect[0].set_value(["tasks.a"]).run()
    assert chosen(page) == ["tasks.a"]

    page.query_params["callback"] = "tasks.b"
    page.query_params["range"] = "1h"
    page.run()

    assert chosen(page) == ["tasks.b"]
    assert page.segmented_control[0].value == "1h"


def test_who_leaves_the_page_and_comes_back_finds_the_busiest(open_page: Open) -> None:
    page = open_page("trends", FakeSource(samples=history(["tasks.a", "tasks.b"])), callback="tasks.b")
    page.switch_page("app_pages/doctor.py").run()
    page.query_params.clear()
    page.switch_page("app_pages/trends.py").run()

    assert not page.exception
    assert chosen(page) == ["tasks.a", "tasks.b"]


@pytest.mark.parametrize(
    "query",
    [
        {"range": "nonsense"},
        {"range": ""},
        {"callback": "no.such.callback"},
        {"callback": "x" * 10_000},
        {"callback": "<b>*x*</b>\u202e", "range": "-1"},
        {"callback": "", "what": "ever"},
    ],
)
def test_nonsense_in_the_address_is_no_traceback(open_page: Open, query: dict[str, str]) -> None:
    page = open_page("trends", FakeSource(samples=history(["tasks.a"])), **query)

    assert not page.exception
    assert not page.error
    assert charts(page) or "No chord of these callbacks" in page.info[0].value
    told = any("a range that does not exist" in text for text in texts(page.caption))
    assert told == ("range" in query)
    assert list(page.dataframe[0].value["callback"]) == ["tasks.a"]


def test_with_no_callback_chosen_the_page_says_what_to_do(open_page: Open) -> None:
    page = open_page("trends", FakeSource(samples=history(["tasks.a"])))
    page.multiselect[0].set_value([]).run()

    assert texts(page.info) == ["Choose one or more callbacks above."]
    assert not charts(page)


def test_without_a_monitor_the_page_says_how_to_have_a_history(open_page: Open) -> None:
    page = open_page("trends", FakeSource(board(looker="dashboard")))

    assert not page.exception
    (told,) = texts(page.info)
    assert "No monitor is running" in told
    assert "chords monitor" in told


def test_a_monitor_that_has_just_begun_is_given_time(open_page: Open) -> None:
    page = open_page("trends", FakeSource(samples=history(["tasks.a"], samples=1)))

    (told,) = texts(page.info)
    assert "There is no history yet" in told


def test_a_range_in_which_nothing_happened_is_said(open_page: Open) -> None:
    page = open_page("trends", FakeSource(samples=history([])))

    assert texts(page.info) == ["No chord started or ended in the last 6 hours. Choose a longer range above."]
    assert not charts(page)


def test_many_callbacks_over_a_long_range_are_drawn(open_page: Open) -> None:
    names = [f"tasks.{index:02}" for index in range(50)]
    page = open_page("trends", FakeSource(samples=history(names, samples=360)), range="30d")

    assert not page.exception
    assert len(page.dataframe[0].value) == 50
    assert len(charts(page)) == 6


def test_a_store_that_does_not_answer_is_a_sentence(open_page: Open) -> None:
    sentence = "The store at redis://**@host:6379/0 does not answer."
    page = open_page("trends", FakeSource(samples=UnreachableError(sentence)))

    assert not page.exception
    assert sentence in texts(page.text)
    assert not charts(page)


def test_a_wrong_setting_is_a_sentence(open_page: Open) -> None:
    page = open_page("trends", SettingError("CHORDWATCH_APP is 'x', which cannot be loaded."))

    assert not page.exception
    assert "CHORDWATCH_APP is 'x', which cannot be loaded." in texts(page.text)


def test_names_are_given_to_nothing_that_parses_them(open_page: Open) -> None:
    names = [f"zebra {text}" for text in HOSTILE]
    source = FakeSource(samples=history(names))
    page = open_page("trends", source)
    for start in range(0, len(names), 10):
        page.multiselect[0].set_value(names[start : start + 10]).run()
        assert not page.exception
        shown = [plain(name, 120) for name in names[start : start + 10]]
        assert all(domain(chart) == shown for chart in charts(page))

    parsed = [*page.markdown, *page.caption, *page.subheader, *page.title, *page.info]
    assert parsed
    assert not [element for element in parsed if "zebra" in element.value]
