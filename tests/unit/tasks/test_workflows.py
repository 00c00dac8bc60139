from __future__ import annotations

from pathlib import Path

import pytest

from tasks import workflows


def test_the_group_in_the_chain_becomes_a_chord() -> None:
    pipeline = workflows.definitions()["demo.PIPELINE"]
    ids = {key: f"id of {key}" for key in pipeline.tasks}

    canvas = workflows.canvas(pipeline, {"raw": "x", "scenario": "happy"}, ids)

    first, chord = canvas.tasks
    assert first.task == "tasks.pipeline.preprocess"
    assert first.args == ({"raw": "x", "scenario": "happy"},)
    assert chord.name == "celery.chord"
    assert [task.options["task_id"] for task in chord.tasks] == ["id of TASK_B", "id of TASK_C"]
    assert chord.body.options["task_id"] == "id of TASK_D"


def test_each_task_must_stand_in_the_steps_once(tmp_path: Path) -> None:
    path = tmp_path / "workflows.yml"
    path.write_text("- {project: p, name: N, tasks: {A: a, B: b}, steps: [A, [A, B]]}\n")

    with pytest.raises(ValueError, match=r"the steps of p\.N must name each task once"):
        workflows.definitions(path)


def test_an_unknown_workflow_is_refused_with_those_there_are() -> None:
    with pytest.raises(workflows.UnknownWorkflowError, match=r"demo\.NOPE; there are demo\.PIPELINE"):
        workflows.start("demo", "NOPE", {})


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        (["pending", "pending"], "pending"),
        (["progress", "pending"], "progress"),
        (["success", "pending"], "progress"),
        (["success", "success"], "success"),
        (["success", "error", "pending"], "error"),
        (["error", "progress", "canceled"], "error"),
        (["success", "canceled", "pending"], "canceled"),
    ],
)
def test_a_workflow_is_what_its_tasks_are(statuses: list[str], status: str) -> None:
    assert workflows.overall(statuses) == status
