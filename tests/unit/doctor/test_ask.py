"""How the doctor asks workers."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from celery.app.control import Control

from chordwatch.doctor.ask import ask_workers
from chordwatch.evidence.budget import Gaps


@pytest.mark.filterwarnings("error")
def test_workers_of_equal_name_are_a_note_and_no_python_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def broadcast(_: Control, question: str, **__: Any) -> list[dict[str, Any]]:
        return [{"w1@zoo": {} if question == "stats" else []}] * 2

    monkeypatch.setattr(Control, "broadcast", broadcast)
    gaps = Gaps()

    workers = ask_workers(Celery(broker="memory://"), gaps)

    assert [worker.name for worker in workers or ()] == ["w1@zoo"]
    (note,) = gaps.lines()
    assert note.startswith("Several workers are named w1@zoo")
