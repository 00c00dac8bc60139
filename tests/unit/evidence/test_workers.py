from __future__ import annotations

import json
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu.transport import filesystem

from chordwatch.evidence import workers
from chordwatch.evidence.budget import Gaps
from chordwatch.evidence.workers import _QUESTIONS, WorkerReader, _workers


class Twins:
    """A remote control through which the workers of these names answer every question."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self.limits: list[int | None] = []

    def broadcast(self, question: str, *, limit: int | None, **_: Any) -> list[dict[str, Any]]:
        """Answer that there is nothing."""
        self.limits.append(limit)
        return [{name: {} if question == "stats" else []} for name in self._names]


def asked(monkeypatch: pytest.MonkeyPatch, *names: str) -> tuple[WorkerReader, Gaps, Twins]:
    reader, gaps, twins = WorkerReader(Celery(broker="memory://"), max_age=60.0), Gaps(), Twins(*names)
    monkeypatch.setattr(reader, "_control", twins)
    return reader, gaps, twins


@pytest.mark.filterwarnings("error")
def test_workers_of_equal_name_are_a_note_and_no_python_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, gaps, _ = asked(monkeypatch, "w1@zoo", "w2@zoo", "w1@zoo")

    seen, _ = reader.ask(gaps)

    assert [worker.hostname for worker in seen] == ["w1@zoo", "w2@zoo"]
    (note,) = gaps.lines()
    assert note.startswith("Several workers are named w1@zoo")
    assert not gaps.partial


def test_the_note_stands_as_long_as_the_answers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, _, _ = asked(monkeypatch, "w1@zoo", "w1@zoo")
    reader.ask(Gaps())
    later = Gaps()

    reader.ask(later)

    assert len(later.lines()) == 1


def test_all_answers_are_waited_for_where_names_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, gaps, twins = asked(monkeypatch, "w1@zoo", "w1@zoo", "w2@zoo")
    reader.ask(gaps)

    with reader.always():
        reader.ask(gaps)

    assert twins.limits == [None] * len(_QUESTIONS) + [3] * len(_QUESTIONS)


def test_workers_of_different_names_are_no_note(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, gaps, _ = asked(monkeypatch, "w1@zoo", "w2@zoo")

    reader.ask(gaps)

    assert gaps.lines() == ()


def answers(**of_one: Any) -> dict[str, dict[str, Any]]:
    return {question: {"w1@zoo": []} for question in _QUESTIONS} | of_one


def test_a_worker_that_answers_every_question_tells_all_its_tasks() -> None:
    (worker,) = _workers(answers(), 100.0)

    assert (worker.hostname, worker.told_tasks) == ("w1@zoo", True)


@pytest.mark.parametrize("question", ["active", "reserved", "scheduled"])
def test_one_that_leaves_a_question_about_tasks_unanswered_does_not(question: str) -> None:
    (worker,) = _workers(answers(**{question: {}}), 100.0)

    assert not worker.told_tasks


def test_questions_at_once_do_not_spoil_what_the_filesystem_transport_writes_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    exists, lock, control = Path.exists, filesystem.lock, tmp_path / "control"
    pauses = cycle([0.0, 0.02])

    def slowly(path: Path) -> bool:
        found = exists(path)
        if path.suffix == ".exchange":
            time.sleep(next(pauses))  # one thread looks, and writes when others have written
        return found

    def locked(file: Any, flags: int) -> None:
        lock(file, flags)
        time.sleep(0.015)

    monkeypatch.setattr(Path, "exists", slowly)
    monkeypatch.setattr(filesystem, "lock", locked)
    monkeypatch.setattr(workers, "TIMEOUT", 0.05)
    app = Celery(broker="filesystem://")
    folders = {"data_folder_in": str(tmp_path), "data_folder_out": str(tmp_path)}
    app.conf.broker_transport_options = folders | {"control_folder": str(control)}
    gaps = Gaps()

    assert WorkerReader(app, max_age=60.0).ask(gaps)[1] is not None
    assert gaps.lines() == ()
    assert json.loads((control / "reply.celery.pidbox.exchange").read_text()) == []
