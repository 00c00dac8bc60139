from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from dashboard_fakes import HOSTILE, NOW, FakeSource, board, row
from page_elements import assert_only_literal, texts

from chordwatch.board.rows import QueueRow, WorkerRow
from chordwatch.board.samples import Sample, Tally
from chordwatch.errors import ChordwatchError, SettingError, UnreachableError
from chordwatch.model import OUTCOMES, Health
from tests.support.pace import within

Open = Callable[..., Any]


def metrics(page: Any) -> dict[str, tuple[str, str]]:
    return {element.label: (element.value, element.delta) for element in page.metric}


def many(number: int, health: Health) -> Any:
    return (row(f"{health}{index}", health) for index in range(number))


def test_stuck_chords_stand_first_with_progress_cause_and_what_they_wait_for(open_page: Open) -> None:
    page = open_page("overview", FakeSource(board(row("stuck", "hung"), row("fine"))))

    assert not page.exception
    assert texts(page.header) == [":red[1 of 2 open chords is stuck]"]
    first = page.dataframe[0].value.iloc[0].to_dict()
    assert first.pop("opened").timestamp() == NOW - 3725
    assert first.pop("progressed").timestamp() == NOW - 65
    assert list(first.pop("health")) == ["hung"]
    assert first == {
        "callback": "tasks.report",
        "why": "2 tasks wait in queue low, which no worker consumes.",
        "counted": "3 of 8",
        "progress": 0.37,
        "waits_for": "2 in queue low",
        "chord_id": "stuck",
    }


def test_why_chords_are_stuck_and_what_to_do_stands_before_all_else(open_page: Open) -> None:
    lost = row("lost", "hung", cause="worker_lost", why="w1 vanished.", remedy="Send it again.")
    page = open_page("overview", FakeSource(board(*many(3, "hung"), lost, *many(4, "late"))))

    assert texts(page.markdown)[:4] == [
        ":red-badge[hung] **3 chords**, the oldest:",
        "**What to do**",
        ":red-badge[hung] **1 chord**",
        "**What to do**",
    ]
    assert texts(page.text)[:4] == [
        "2 tasks wait in queue low, which no worker consumes.",
        "Start a worker that reads the queue.",
        "w1 vanished.",
        "Send it again.",
    ]


def test_more_causes_than_fit_are_counted(open_page: Open) -> None:
    rows = [row(f"c{number}", "hung", cause=f"cause{number}", why=f"why {number}") for number in range(5)]
    page = open_page("overview", FakeSource(board(*rows)))

    links = [element.proto.label for element in page.get("page_link")]
    assert "3 more causes" in links


def test_every_health_and_what_is_open_is_counted_against_an_hour_ago(open_page: Open) -> None:
    source = FakeSource(board(*many(3, "hung"), *many(2, "looping"), *many(5, "ok")))
    source.samples = (
        Sample(at=NOW - 3600, counts={"hung": 1, "looping": 4, "ok": 5}, callbacks={"a": Tally(succeeded=5)}),
        Sample(at=NOW - 60, counts={"hung": 3}, callbacks={"a": Tally(succeeded=1005, failed=2)}),
    )
    page = open_page("overview", source)

    assert "Now, and 1 h ago" in texts(page.subheader)
    assert metrics(page) == {
        ":red[**Hung**]": ("3", "+2"),
        ":violet[**Looping**]": ("2", "-2"),
        "Failed": ("0", "±0"),
        "Late": ("0", "±0"),
        "Waiting": ("0", "±0"),
        "Open": ("10", "±0"),
        "Ended": ("1,002", "2 failed"),
    }


def test_without_history_there_are_counts_and_no_trend(open_page: Open) -> None:
    source = FakeSource(board(*many(3, "hung")), samples=UnreachableError("No store."))
    page = open_page("overview", source)

    assert not page.error
    assert metrics(page)[":red[**Hung**]"] == ("3", "")
    assert metrics(page)["Ended"] == ("42", "2 failed")


def test_without_a_store_no_ended_chords_are_counted(open_page: Open) -> None:
    assert "Ended" not in metrics(open_page("overview", FakeSource(board(finished=None))))


@pytest.mark.parametrize(
    ("number", "shown"), [(9_999, "9,999"), (12_345, "12k"), (9_999_999, "9,999k"), (12_345_678, "12M")]
)
def test_large_numbers_are_short_and_exact_beside(open_page: Open, number: int, shown: str) -> None:
    page = open_page("overview", FakeSource(board(row("a", "hung"), counts={"hung": number})))

    hung = page.metric[0]
    assert hung.value == shown
    assert f"{number:,}" in hung.proto.help


def test_nothing_is_red_while_nothing_is_stuck(open_page: Open) -> None:
    page = open_page("overview", FakeSource(board(row("a"), row("b", "waiting"))))

    assert texts(page.header) == ["None of 2 open chords is known to be stuck"]
    assert not page.markdown


def test_queues_are_shown_with_depth_unacked_consumers_age_and_stuck_chords(open_page: Open) -> None:
    low = QueueRow(name="low", length=1037, unacked=2, consumers=0, oldest_at=NOW - 60, stuck=4)
    unasked = QueueRow(name="unasked", length=1, unacked=0, consumers=None)
    page = open_page("overview", FakeSource(board(row(), queues=(low, unasked))))

    assert "Queues: 1,038 tasks waiting" in texts(page.subheader)
    rows = page.dataframe[1].value.to_dict("records")
    assert rows[0].pop("oldest").timestamp() == NOW - 60
    assert rows[0] == {
        "name": "low",
        "length": 1037,
        "unacked": 2,
        "consumers": "0: nobody takes its tasks",
        "stuck": 4,
    }
    assert rows[1]["consumers"] == "?"


def test_workers_are_counted_and_those_that_vanished_named(open_page: Open) -> None:
    gone = WorkerRow(hostname="w2@host", up=False, last_beat_at=NOW - 90, chord_tasks=3, queues=("a", "b"))
    up = WorkerRow(hostname="w1@host", up=True)
    page = open_page("overview", FakeSource(board(row(), workers=(gone, up))))

    assert "Workers: 1 up, :red[1 vanished]" in texts(page.subheader)
    first = page.dataframe[2].value.iloc[0]
    assert (list(first["state"]), first["hostname"], first["tasks"], first["queues"]) == (
        ["vanished"],
        "w2@host",
        3,
        "a, b",
    )


def test_an_empty_installation_says_how_to_begin(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORDWATCH_APP", "shop.celery:app")
    empty = board(queues=(), workers=(), finished=None, instrumented=False, looker="dashboard")
    page = open_page("overview", FakeSource(empty))

    assert not page.exception
    assert texts(page.header) == ["No open chords"]
    monitor, instrument, start = texts(page.info)
    assert "`celery -A shop.celery:app chords monitor`" in monitor
    assert "`chordwatch.instrument(app)`" in instrument
    assert "python -m tasks.run" in start
    assert any("celery -A shop.celery:app worker" in caption for caption in texts(page.caption))
    assert not page.dataframe


def test_an_app_name_that_is_markdown_is_not_drawn(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORDWATCH_APP", "x` :red[zebra]")
    page = open_page("overview", FakeSource(board(looker="dashboard")))

    assert "`celery -A proj chords monitor`" in page.info[0].value


def test_where_a_monitor_watches_nothing_is_said_about_that(open_page: Open) -> None:
    page = open_page("overview", FakeSource(board(row())))

    assert not page.info
    assert "by the monitor" in page.caption[0].value


def test_a_chord_of_which_almost_nothing_is_known_is_shown(open_page: Open) -> None:
    unknown = row(size=None, callback=None, opened_at=None, progressed_at=None)
    page = open_page("overview", FakeSource(board(unknown)))

    shown = page.dataframe[0].value.iloc[0]
    assert (shown["callback"], shown["counted"]) == ("?", "3 of ?")
    assert shown[["progress", "opened", "progressed"]].isna().all()


def test_of_a_hundred_thousand_chords_the_worst_are_drawn_and_the_rest_is_counted(open_page: Open) -> None:
    rows = [row(f"c{index}", OUTCOMES[index * 6 // 5500]) for index in range(5500)]
    queues = tuple(QueueRow(name=f"q{index}", length=index, unacked=0, consumers=1) for index in range(1000))
    counts = {"hung": 2000, "ok": 98_000}

    started = time.perf_counter()
    page = open_page("overview", FakeSource(board(*rows, counts=counts, queues=queues)))
    elapsed = time.perf_counter() - started

    assert texts(page.header) == [":red[2,000 of 100,000 open chords are stuck]"]
    assert len(page.dataframe[0].value) == 100
    assert any("100 of 100,000; 99,900 more are not shown" in caption for caption in texts(page.caption))
    assert len(page.dataframe[1].value) == 100
    assert within(elapsed, 5)


def test_an_unreachable_store_is_a_sentence_and_no_traceback(open_page: Open) -> None:
    sentence = "The store redis://:**@host:6379/0 does not answer: check that it runs."
    page = open_page("overview", FakeSource(UnreachableError(sentence)))

    assert texts(page.error) == ["**The chords cannot be read.**"]
    assert texts(page.text) == [sentence]
    assert texts(page.caption) == ["This page goes on trying every few seconds."]
    assert not page.exception
    assert not page.dataframe


def test_a_wrong_setting_is_a_sentence_and_is_not_said_to_mend_itself(open_page: Open) -> None:
    page = open_page("overview", SettingError("CHORDWATCH_APP is 'x', which cannot be loaded."))

    assert texts(page.error) == ["**The dashboard is not set up.**"]
    assert texts(page.text) == ["CHORDWATCH_APP is 'x', which cannot be loaded."]
    assert not page.caption


def test_what_could_not_be_seen_is_noted_at_the_end(open_page: Open) -> None:
    seen = board(row(), partial=True, notes=("12 keys were skipped.",), beyond=3)
    page = open_page("overview", FakeSource(seen))

    assert texts(page.header) == ["None of 4 open chords seen is known to be stuck"]
    assert texts(page.text)[-1].splitlines() == [
        "This look ended on its time budget: there may be chords that it has not seen.",
        "3 more open chords were too many to be read.",
        "12 keys were skipped.",
    ]


def test_a_pause_keeps_what_is_seen(open_page: Open) -> None:
    source = FakeSource(board(row("a", "hung")))
    page = open_page("overview", source)
    page.toggle(key="paused").set_value(True).run()
    source.seen = board()
    page.run()
    assert texts(page.header) == [":red[1 of 1 open chord is stuck]"]
    assert "paused" in page.caption[0].value

    page.toggle(key="paused").set_value(False).run()
    assert texts(page.header) == ["No open chords"]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Etc/Nonsense", ""])
def test_times_are_in_the_viewers_zone_or_said_to_be_in_utc(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    import chord_ui  # noqa: PLC0415  # only where Streamlit is installed

    monkeypatch.setattr(chord_ui.st.context.__class__, "timezone", zone or None, raising=False)
    page = open_page("overview", FakeSource(board(row())))

    expected = "23:13:20" if zone == "Asia/Tokyo" else "14:13:20 UTC"
    assert page.caption[0].value == f"Seen at {expected} by the monitor"


def test_foreign_text_reaches_no_element_that_parses_it(open_page: Open) -> None:
    names = [f"zebra {text}" for text in HOSTILE]
    page = open_page(
        "overview",
        FakeSource(
            board(
                *(
                    row(
                        f"{name}{index}",
                        "hung",
                        callback=name,
                        cause=name,
                        why=name,
                        remedy=name,
                        waits_for=name,
                    )
                    for index, name in enumerate(names)
                ),
                queues=tuple(QueueRow(name=name, length=1, unacked=0, consumers=0) for name in names),
                workers=tuple(WorkerRow(hostname=name, up=False, queues=(name,)) for name in names),
                notes=tuple(names),
            )
        ),
    )

    assert not page.exception
    assert len(page.dataframe[0].value) == len(names)
    assert_only_literal(page)


def test_a_hostile_error_reaches_no_element_that_parses_it(open_page: Open) -> None:
    page = open_page("overview", FakeSource(ChordwatchError("zebra :red[x] <b> $x$ " + "y" * 10_000)))

    assert_only_literal(page)
    assert page.text[0].value.startswith("zebra :red[x] <b> $x$ yyy")
    assert len(page.text[0].value) <= 300
