from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from celery import Celery
from celery.events.state import Task

from chordwatch.errors import UnreachableError
from chordwatch.flower import annotated, format_task
from chordwatch.flower.annotated import words_of
from chordwatch.settings import read_settings
from chordwatch.store.protocol import Membership
from tests.unit.dashboards.dashboard_fakes import HOSTILE, FakeSource, board, row
from tests.unit.flower.conftest import InProcess

Start = Callable[..., InProcess]
DASHBOARD = "https://dash.example"
LIST = "/tasks/datatable?draw=1&start=0&length=15&order[0][column]=0&order[0][dir]=asc&columns[0][data]=name"


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """Forget the words of other tests."""
    annotated._words.clear()


def member(chord_id: str = "c1", index: int | None = 4) -> Membership:
    role: Any = "callback" if index is None else "header"
    return Membership(chord_id=chord_id, role=role, index=index, callback="tasks.report")


def rows_of(answer: Any) -> dict[str, str | None]:
    return {task["uuid"]: task["chord"] for task in json.loads(answer.body)["data"]}


def linked(source: FakeSource) -> None:
    source.settings = read_settings(Celery(changes={"chordwatch_dashboard_url": DASHBOARD}).conf)


def test_a_task_of_a_stuck_chord_names_role_index_health_cause_and_address() -> None:
    assert words_of(member(), row("c1", "hung"), dashboard_url=DASHBOARD) == (
        f"header index 4 of tasks.report · hung: queue_unconsumed · {DASHBOARD}/chord?id=c1"
    )
    assert words_of(member(), row("c1", "hung", certain=False), dashboard_url="") == (
        "header index 4 of tasks.report · hung: queue_unconsumed (not certain) · chord c1"
    )


def test_a_task_of_a_chord_that_is_well_names_the_chord() -> None:
    assert words_of(member(index=None), None, dashboard_url="") == "callback of tasks.report · chord c1"
    nameless = Membership(chord_id="c1", role="header", index=None, callback=None)
    assert words_of(nameless, None, dashboard_url="") == "header · chord c1"


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: json.dumps(name)[:24])
def test_hostile_names_are_one_short_visible_line(name: str) -> None:
    hostile = Membership(chord_id=name[:300], role="header", index=0, callback=name)
    words = words_of(hostile, row(name, "hung", cause=name), dashboard_url="")

    assert words.isprintable()
    assert len(words) < 400


def test_flowers_copy_of_a_task_gets_the_field_and_other_tasks_do_not() -> None:
    task = format_task(Task(uuid="t1", name="tasks.part"))

    assert task.as_dict()["chord"] is None
    assert "chord" not in Task(uuid="t2").as_dict()
    assert format_task(task)._fields.count("chord") == 1


def test_the_list_says_of_each_task_its_chord_with_one_question(flower: Start) -> None:
    started = flower()
    started.source.seen = board(row("c1", "hung"), row("c2"))
    linked(started.source)
    started.tasks = [(f"t{n}", "tasks.part") for n in range(4)]
    started.store.members = {"t0": member(), "t1": member("c2", 1), "t2": member("c1", None)}
    first, second = started.get(LIST, LIST)

    assert rows_of(first) == {
        "t0": f"header index 4 of tasks.report · hung: queue_unconsumed · {DASHBOARD}/chord?id=c1",
        "t1": f"header index 1 of tasks.report · {DASHBOARD}/chord?id=c2",
        "t2": f"callback of tasks.report · hung: queue_unconsumed · {DASHBOARD}/chord?id=c1",
        "t3": None,
    }
    assert rows_of(second) == rows_of(first)
    assert [sorted(asked) for asked in started.store.questions] == [["t0", "t1", "t2", "t3"]]


def test_only_tasks_of_the_page_are_asked_for(flower: Start) -> None:
    started = flower()
    started.tasks = [(f"t{n:03}", f"tasks.part{n:03}") for n in range(200)]
    (answer,) = started.get(LIST)

    assert len(rows_of(answer)) == 15
    assert [len(asked) for asked in started.store.questions] == [15]
    assert set(started.store.questions[0]) == set(rows_of(answer))


def test_a_task_page_says_its_chord_escaped(flower: Start) -> None:
    started = flower()
    started.source.seen = board(row("c1", "hung", cause="<script>alert(1)</script>"))
    started.tasks, started.store.members = [("t 1", "tasks.part")], {"t 1": member()}
    (page,) = started.get(f"/task/{quote('t 1')}")

    text = page.body.decode()
    assert "header index 4 of tasks.report · hung: &lt;script&gt;alert(1)&lt;/script&gt; · chord c1" in text
    assert "<script>alert" not in text


def test_a_task_without_a_chord_has_no_row_for_it(flower: Start) -> None:
    started = flower()
    started.tasks = [("t1", "tasks.part")]
    (page,) = started.get("/task/t1")

    assert page.code == 200
    assert "<dt>Chord</dt>" not in page.body.decode()


def test_a_task_that_flower_does_not_know_is_flowers_own_sentence(flower: Start) -> None:
    (page,) = flower().get("/task/none")

    assert (page.code, "Unknown task" in page.body.decode()) == (404, True)


def test_a_store_that_does_not_answer_leaves_flowers_list_as_it_was(
    flower: Start, caplog: pytest.LogCaptureFixture
) -> None:
    started = flower()
    started.tasks = [("t1", "tasks.part")]
    annotated._words["t1"] = "what was true a while ago"
    started.store.error = UnreachableError("The store does not answer.")
    (answer,) = started.get(LIST)

    assert rows_of(answer) == {"t1": None}
    assert "without their chords" in caplog.text


def test_a_board_that_cannot_be_made_leaves_the_chord_of_a_task(flower: Start) -> None:
    started = flower()
    started.source.seen = UnreachableError("The broker does not answer.")
    started.tasks, started.store.members = [("t1", "tasks.part")], {"t1": member()}
    (answer,) = started.get(LIST)

    assert rows_of(answer) == {"t1": "header index 4 of tasks.report · chord c1"}


def test_a_search_that_flower_refuses_is_refused(flower: Start) -> None:
    started = flower()
    started.tasks = [("t1", "tasks.part")]
    (answer,) = started.get(f"{LIST}&search[value]=%28")

    told = json.loads(answer.body)
    assert (told["data"], bool(told["searchError"])) == ([], True)


def test_nobody_is_told_a_chord_without_flowers_password(flower: Start) -> None:
    started = flower(basic_auth=["me:secret"])
    started.tasks = [("t1", "tasks.part")]

    assert [answer.code for answer in started.get(LIST, "/task/t1")] == [401, 401]
    assert started.store.questions == []


def test_words_are_bounded(flower: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotated, "_SIZE", 10)
    started = flower()
    started.tasks = [(f"t{n}", "tasks.part") for n in range(15)]
    started.store.members = {f"t{n}": member() for n in range(15)}
    started.get(LIST)

    assert len(annotated._words) == 10


def test_a_formatter_of_ones_own_can_be_combined(flower: Start) -> None:
    def hidden(task: Any) -> Any:
        task.args = "hidden"
        return format_task(task)

    started = flower(format_task=hidden)
    started.tasks, started.store.members = [("t1", "tasks.part")], {"t1": member()}
    (answer,) = started.get(LIST)

    (task,) = json.loads(answer.body)["data"]
    assert (task["args"], task["chord"]) == ("hidden", "header index 4 of tasks.report · chord c1")
