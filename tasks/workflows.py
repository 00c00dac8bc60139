"""Workflows: read from `workflows.yml`, made into canvases, started, and looked at."""

from __future__ import annotations

import functools
import uuid
from dataclasses import dataclass
from itertools import chain as flatten
from pathlib import Path
from typing import Any

import yaml
from celery import Signature, chain, group, states

from tasks import records
from tasks.celery import app
from tasks.launch import Started, describe

PATH = Path(__file__).with_name("workflows.yml")
STATUSES = {
    states.PENDING: "pending",
    states.RECEIVED: "progress",
    states.STARTED: "progress",
    states.RETRY: "progress",
    states.SUCCESS: "success",
    states.FAILURE: "error",
    states.REVOKED: "canceled",
}


class UnknownWorkflowError(Exception):
    """There is no workflow of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A workflow's definition. `steps` follow each other; the keys within a step run in parallel."""

    project: str
    name: str
    tasks: dict[str, str]
    steps: tuple[tuple[str, ...], ...]

    @property
    def fullname(self) -> str:
        """Return the name that is unique among projects."""
        return f"{self.project}.{self.name}"


@functools.cache
def definitions(path: Path = PATH) -> dict[str, Workflow]:
    """Read the definitions, by full name."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    workflows = [
        Workflow(
            project=entry["project"],
            name=entry["name"],
            tasks=entry["tasks"],
            steps=tuple(tuple(step) if isinstance(step, list) else (step,) for step in entry["steps"]),
        )
        for entry in entries
    ]
    for workflow in workflows:
        if sorted(flatten(*workflow.steps)) != sorted(workflow.tasks):
            raise ValueError(f"{path.name}: the steps of {workflow.fullname} must name each task once")
    return {workflow.fullname: workflow for workflow in workflows}


def canvas(workflow: Workflow, payload: dict[str, Any], ids: dict[str, str]) -> Signature:
    """Return the chain of the workflow's steps; Celery makes a chord of a group that another step follows."""

    def task(key: str, *args: Any) -> Signature:
        return app.signature(workflow.tasks[key], args=args, options={"task_id": ids[key]})

    def step(keys: tuple[str, ...], *args: Any) -> Signature:
        return task(keys[0], *args) if len(keys) == 1 else group(task(key, *args) for key in keys)

    first, *others = workflow.steps
    return chain(step(first, payload), *(step(keys) for keys in others))


def start(project: str, name: str, payload: dict[str, Any]) -> tuple[str, Started]:
    """Publish a workflow and return its id, with what was published.

    Raises:
        UnknownWorkflowError: The text names those that exist.
    """
    workflow = definitions().get(f"{project}.{name}")
    if workflow is None:
        raise UnknownWorkflowError(
            f"Unknown workflow {project}.{name}; there are {', '.join(definitions())}."
        )
    ids = {key: str(uuid.uuid4()) for key in workflow.tasks}
    started = describe(canvas(workflow, payload, ids).apply_async())
    workflow_id = str(uuid.uuid4())
    record = {
        "id": workflow_id,
        "fullname": workflow.fullname,
        "payload": payload,
        "chord_id": started.chord_id,
        "tasks": [
            {"id": ids[key], "key": key, "previous": [ids[name] for name in before]}
            for before, keys in zip(((), *workflow.steps), workflow.steps, strict=False)
            for key in keys
        ],
    }
    records.save(record)
    return workflow_id, started


def view(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with what became of its tasks."""
    seen: dict[str, str] = {}
    tasks = []
    for task in record["tasks"]:
        status, result = _outcome(task, seen)
        seen[task["id"]] = status
        tasks.append(
            {
                "id": task["id"],
                "key": task["key"],
                "status": status,
                "previous": task["previous"],
                "result": result,
            }
        )
    return {
        "id": record["id"],
        "fullname": record["fullname"],
        "status": overall(list(seen.values())),
        "payload": record["payload"],
        "chord_id": record["chord_id"],
        "tasks": tasks,
    }


def _outcome(task: dict[str, Any], seen: dict[str, str]) -> tuple[str, dict[str, Any] | None]:
    """Return a task's status and result; `seen` has the statuses of the tasks before it."""
    # Celery stores a failure also under the ids of the tasks that cannot run because of it: those later in
    # the chain, and a chord's callback. They never ran.
    if any(seen[previous] != "success" for previous in task["previous"]):
        return "pending", None
    result = app.AsyncResult(task["id"])
    meta = result.backend.get_task_meta(task["id"])
    status = STATUSES.get(meta["status"], "progress")
    if status == "success":
        return status, meta["result"]
    if status in {"error", "canceled"}:
        error = meta["result"]
        return status, {"exception": f"{type(error).__name__}: {error}", "traceback": meta["traceback"]}
    return status, None


def overall(statuses: list[str]) -> str:
    """Return the status of a workflow whose tasks have these."""
    for decisive in ("error", "canceled"):
        if decisive in statuses:
            return decisive
    kinds = set(statuses)
    return kinds.pop() if len(kinds) == 1 else "progress"
