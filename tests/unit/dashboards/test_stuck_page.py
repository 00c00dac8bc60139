from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from dashboard_fakes import HOSTILE, NOW, FakeSource, board, row
from page_elements import assert_only_literal, links, texts

from chordwatch.errors import SettingError, UnreachableError
from tests.support.pace import within

Open = Callable[..., Any]


def installation() -> FakeSource:
    return FakeSource(
        board(
            row("a", "hung", callback="shop.report", queues=("reports",), opened_at=NOW - 4000),
            row("b", "hung", callback="shop.mail", queues=("reports", "low"), opened_at=NOW - 100),
            row("c", "late", callback="shop.mail", cause="task_overdue", queues=(), opened_at=NOW - 100),
            row("fine", "ok", callback="shop.mail", cause="duplicate_delivery"),
        )
    )


def shown(page: Any) -> list[str]:
    return list(page.dataframe[0].value["chord_id"]) if page.dataframe else []


def address(page: Any) -> dict[str, str]:
    """Return the query as one value for each name, whatever this Streamlit keeps it as."""
    return {
        name: value if isinstance(value, str) else value[0] for name, value in dict(page.query_params).items()
    }


def test_all_that_are_not_well_are_shown_and_counted(open_page: Open) -> None:
    page = open_page("stuck", installation())

    assert not page.exception
    assert texts(page.header) == [":red[2 hung] · :yellow[1 late]"]
    assert shown(page) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"callback": "shop.mail"}, ["b", "c"]),
        ({"cause": "task_overdue"}, ["c"]),
        ({"callback": "shop.mail", "cause": "queue_unconsumed"}, ["b"]),
        ({"cause": "duplicate_delivery"}, ["fine"]),
        ({"queue": "low"}, ["b"]),
        ({"text": "REPORT"}, ["a", "b"]),
        ({"age": "3600"}, ["a"]),
        ({"age": "3999"}, ["a"]),
    ],
)
def test_an_address_filters_as_alerts_make_it(
    open_page: Open, query: dict[str, str], expected: list[str]
) -> None:
    page = open_page("stuck", installation(), **query)

    assert not page.exception
    assert shown(page) == expected
    assert address(page) == query


def test_filters_go_into_the_address_and_out_of_it(open_page: Open) -> None:
    page = open_page("stuck", installation(), callback="shop.mail")

    page.selectbox(key="stuck cause").select("task_overdue").run()
    page.text_input(key="stuck text").input("shop").run()
    assert shown(page) == ["c"]
    assert address(page) == {"callback": "shop.mail", "cause": "task_overdue", "text": "shop"}

    page.selectbox(key="stuck callback").select("").run()
    page.selectbox(key="stuck cause").select("").run()
    page.text_input(key="stuck text").input("").run()
    assert address(page) == {}
    assert shown(page) == ["a", "b", "c"]


def test_an_address_that_changes_while_the_page_is_open_counts(open_page: Open) -> None:
    page = open_page("stuck", installation(), callback="shop.report")

    page.query_params["callback"] = "shop.mail"
    page.run()

    assert shown(page) == ["b", "c"]
    assert page.selectbox(key="stuck callback").value == "shop.mail"


def test_the_way_back_from_a_chord_leads_to_the_same_filters(open_page: Open) -> None:
    page = open_page("stuck", installation(), callback="shop.mail", by="cause")

    page.switch_page("app_pages/chord.py").run()
    page.switch_page("app_pages/stuck.py")
    page.query_params.clear()
    page.query_params["id"] = "b"  # as Streamlit leaves it in the browser's history
    page.run()

    assert address(page) == {"callback": "shop.mail", "by": "cause"}
    assert page.selectbox(key="stuck callback").value == "shop.mail"


def test_filters_offer_what_is_there(open_page: Open) -> None:
    page = open_page("stuck", installation())

    assert page.selectbox(key="stuck callback").options == ["All callbacks", "shop.mail", "shop.report"]
    assert page.selectbox(key="stuck cause").options == ["All causes", "queue_unconsumed", "task_overdue"]
    assert page.selectbox(key="stuck queue").options == ["All queues", "low", "reports"]


def test_chords_are_grouped_by_cause_and_by_queue(open_page: Open) -> None:
    by_cause = open_page("stuck", installation(), by="cause").dataframe[0].value.to_dict("records")
    by_queue = open_page("stuck", installation(), by="queue").dataframe[0].value.to_dict("records")

    assert [(group["chords"], group["says"]) for group in by_cause] == [
        (2, "Header tasks lie in a queue that no worker reads."),
        (1, by_cause[1]["says"]),
    ]
    assert by_cause[0]["remedy"] == "Start a worker that reads the queue."
    assert [group["says"] for group in by_queue] == [
        "2 chords wait on queue reports",
        "1 chord waits on queue low",
        "1 chord waits on no queue",
    ]


def test_what_an_alert_told_of_may_have_ended(open_page: Open) -> None:
    page = open_page("stuck", installation(), callback="gone.task", cause="worker_lost")

    assert texts(page.header) == ["None match"]
    assert "0 match, of 3 open chords" in page.caption[0].value
    assert "may have ended" in page.info[0].value
    assert links(page)["Show all that are not well"] == ""
    assert page.selectbox(key="stuck callback").value == "gone.task"


def test_callbacks_beyond_the_labels_of_the_metrics_are_not_looked_for_by_name(open_page: Open) -> None:
    page = open_page("stuck", installation(), callback="other")

    assert shown(page) == ["a", "b", "c"]
    assert any("too many to be counted one by one" in caption for caption in texts(page.caption))


@pytest.mark.parametrize(
    "query",
    [
        {"age": "-1"},
        {"age": "NaN"},
        {"age": "9" * 400},
        {"age": "٣"},
        {"by": "colour"},
        {"age": "1e3", "by": "cause; drop table"},
    ],
)
def test_nonsense_is_left_out_and_said(open_page: Open, query: dict[str, str]) -> None:
    page = open_page("stuck", installation(), **query)

    assert not page.exception
    assert shown(page) == ["a", "b", "c"]
    assert "does not exist; that was left out" in page.caption[0].value
    assert address(page) == {}


@pytest.mark.parametrize("value", ["x" * 5000, "\x00", "<b>&", "%zz", ":red[zebra]"])
def test_names_that_nobody_has_find_nothing(open_page: Open, value: str) -> None:
    page = open_page("stuck", installation(), callback=value, cause=value, queue=value, text=value)

    assert not page.exception
    assert texts(page.header) == ["None match"]
    assert_only_literal(page)


def test_parameters_that_the_page_does_not_have_are_left_out(open_page: Open) -> None:
    page = open_page("stuck", installation(), foo="1", cause="task_overdue")

    assert shown(page) == ["c"]
    assert address(page) == {"cause": "task_overdue"}


def test_nothing_stuck_is_good_news_with_a_way_on(open_page: Open) -> None:
    page = open_page("stuck", FakeSource(board(row("a"), row("b", "waiting"))))

    assert texts(page.header) == ["No chord is stuck"]
    assert "Every open chord (2)" in page.success[0].value
    assert "Overview" in links(page)


def test_no_chords_at_all_are_no_good_news(open_page: Open) -> None:
    page = open_page("stuck", FakeSource(board(looker="dashboard", instrumented=False)))

    assert texts(page.success) == ["There are no open chords."]
    assert "chords monitor" in page.info[0].value


def test_of_thousands_the_worst_are_drawn_and_the_rest_is_counted(open_page: Open) -> None:
    rows = [row(f"c{index}", "hung", callback=f"task{index % 50}") for index in range(5000)]
    source = FakeSource(board(*rows, counts={"hung": 7000, "ok": 93_000}))

    started = time.perf_counter()
    page = open_page("stuck", source)
    elapsed = time.perf_counter() - started

    assert len(shown(page)) == 1000
    told = next(caption for caption in texts(page.caption) if caption.startswith("Tick"))
    assert "the worst 1,000 of 5,000" in told
    assert "2,000 more were too many to be listed." in told
    assert within(elapsed, 5)


def test_a_store_that_is_down_is_a_sentence_and_keeps_what_the_address_asks(open_page: Open) -> None:
    page = open_page(
        "stuck", FakeSource(UnreachableError("The store is down.")), cause="worker_lost", by="queue"
    )

    assert not page.exception
    assert texts(page.error) == ["**The chords cannot be read.**"]
    assert texts(page.text) == ["The store is down."]
    assert address(page) == {"cause": "worker_lost", "by": "queue"}


def test_a_dashboard_without_an_app_says_so(open_page: Open) -> None:
    page = open_page("stuck", SettingError("No Celery app is named."))

    assert not page.exception
    assert texts(page.error) == ["**The dashboard is not set up.**"]


@pytest.mark.parametrize("by", ["", "cause", "queue"])
def test_foreign_text_reaches_no_element_that_parses_it(open_page: Open, by: str) -> None:
    names = [f"zebra {text}" for text in HOSTILE]
    rows = (
        row(
            f"{name}{number}",
            "hung",
            callback=name,
            cause=name,
            why=name,
            waits_for=name,
            queues=(name,),
            remedy=name,
        )
        for number, name in enumerate(names)
    )
    page = open_page("stuck", FakeSource(board(*rows, notes=tuple(names))), **({"by": by} if by else {}))

    assert not page.exception
    assert len(page.dataframe[0].value) == len(names)
    assert_only_literal(page)
