from __future__ import annotations

import json
import socket
import sys
import time
from typing import Any

import httpx
import pytest

from tests.integration.tasks.conftest import Stack, start_workflow
from tests.support.polling import wait_until
from tests.support.servers import free_port

Tasks = dict[str, dict[str, Any]]


def show(stack: Stack, workflow_id: str) -> dict[str, Any]:
    response = httpx.get(f"{stack.api_url}/api/workflows/{workflow_id}")
    assert response.status_code == httpx.codes.OK, response.text
    document: dict[str, Any] = response.json()
    return document


def ended(stack: Stack, workflow_id: str) -> tuple[dict[str, Any], Tasks]:
    def over() -> bool:
        return show(stack, workflow_id)["status"] in {"success", "error", "canceled"}

    wait_until(over, f"workflow {workflow_id} ends", 60)
    # A workflow is an error as soon as one task is; what runs beside that task may still be running.
    wait_until(
        lambda: not {task["status"] for task in show(stack, workflow_id)["tasks"]} & {"progress"},
        f"all tasks of {workflow_id} end",
    )
    document = show(stack, workflow_id)
    return document, {task["key"]: task for task in document["tasks"]}


def retries(tasks: Tasks) -> dict[str, int]:
    return {key: task["result"]["retries_used"] for key, task in tasks.items()}


def test_a_new_workflow_is_shown_in_full(stack: Stack) -> None:
    document = show(stack, start_workflow(stack, "happy"))

    assert list(document) == ["id", "fullname", "status", "payload", "chord_id", "tasks"]
    assert document["fullname"] == "demo.PIPELINE"
    assert document["payload"] == {"raw": "hello world", "scenario": "happy"}
    tasks = {task["key"]: task for task in document["tasks"]}
    assert list(tasks) == ["TASK_A", "TASK_B", "TASK_C", "TASK_D"]
    assert all(list(task) == ["id", "key", "status", "previous", "result"] for task in tasks.values())
    assert tasks["TASK_A"]["previous"] == []
    assert tasks["TASK_B"]["previous"] == tasks["TASK_C"]["previous"] == [tasks["TASK_A"]["id"]]
    assert tasks["TASK_D"]["previous"] == [tasks["TASK_B"]["id"], tasks["TASK_C"]["id"]]


def test_happy_succeeds_without_retries(stack: Stack, workflows: dict[str, str]) -> None:
    document, tasks = ended(stack, workflows["happy"])

    assert document["status"] == "success"
    assert {task["status"] for task in tasks.values()} == {"success"}
    assert retries(tasks) == {"TASK_A": 0, "TASK_B": 0, "TASK_C": 0, "TASK_D": 0}
    merged = tasks["TASK_D"]["result"]
    assert merged["embedding"] == tasks["TASK_B"]["result"]["embedding"]
    assert merged["label"] == tasks["TASK_C"]["result"]["label"]


def test_the_group_became_a_chord_of_the_id_that_is_shown(stack: Stack, workflows: dict[str, str]) -> None:
    document, tasks = ended(stack, workflows["happy"])

    assert stack.counters(document["chord_id"])["claim"] == "done"
    members = {meta["task_id"] for meta in stack.metas(group_id=document["chord_id"])}
    assert members == {tasks[key]["id"] for key in ("TASK_B", "TASK_C", "TASK_D")}


@pytest.mark.faults
def test_flaky_shows_progress_and_succeeds_after_two_retries_each(
    stack: Stack, workflows: dict[str, str]
) -> None:
    document, tasks = ended(stack, workflows["flaky"])

    assert document["status"] == "success"
    assert retries(tasks) == {"TASK_A": 2, "TASK_B": 2, "TASK_C": 2, "TASK_D": 0}


@pytest.mark.faults
def test_slow_runs_into_timeouts_and_succeeds(stack: Stack, workflows: dict[str, str]) -> None:
    document, tasks = ended(stack, workflows["slow"])

    assert document["status"] == "success"
    assert retries(tasks) == {"TASK_A": 2, "TASK_B": 2, "TASK_C": 2, "TASK_D": 0}
    assert "ReadTimeout" in (stack.folder / "default.log").read_text()


def test_down_uses_up_the_retries_of_a_and_runs_nothing_else(stack: Stack, workflows: dict[str, str]) -> None:
    document, tasks = ended(stack, workflows["down"])

    assert document["status"] == "error"
    assert list(tasks["TASK_A"]["result"]) == ["exception", "traceback"]
    assert tasks["TASK_A"]["result"]["exception"].startswith("ModelServiceError: preprocess")
    assert "Traceback" in tasks["TASK_A"]["result"]["traceback"]
    for key in ("TASK_B", "TASK_C", "TASK_D"):
        assert (tasks[key]["status"], tasks[key]["result"]) == ("pending", None)
    assert stack.meta(tasks["TASK_A"]["id"])["retries"] == 3
    assert stack.counters(document["chord_id"]) == {"size": None, "counted": 0, "claim": None}


def test_partial_fail_ends_in_a_chord_error_and_d_never_runs(stack: Stack, workflows: dict[str, str]) -> None:
    document, tasks = ended(stack, workflows["partial_fail"])

    assert document["status"] == "error"
    assert {key: task["status"] for key, task in tasks.items()} == {
        "TASK_A": "success",
        "TASK_B": "error",
        "TASK_C": "success",
        "TASK_D": "pending",
    }
    assert tasks["TASK_D"]["result"] is None
    callback = stack.outcome(tasks["TASK_D"]["id"])
    assert callback["result"]["exc_type"] == "ChordError"
    assert tasks["TASK_B"]["id"] in callback["result"]["exc_message"][0]
    assert stack.meta(tasks["TASK_B"]["id"])["retries"] == 3


def test_a_revoked_task_makes_the_workflow_canceled(stack: Stack) -> None:
    workflow_id = start_workflow(stack, "slow")

    def first() -> dict[str, Any]:
        task: dict[str, Any] = show(stack, workflow_id)["tasks"][0]
        return task

    wait_until(lambda: stack.meta(first()["id"])["status"] == "STARTED", "TASK_A runs")
    assert show(stack, workflow_id)["status"] == "progress"
    done = stack.run("-m", "celery", "-A", "tasks", "control", "terminate", "SIGTERM", first()["id"])
    assert done.returncode == 0, done.stderr

    document, tasks = ended(stack, workflow_id)
    assert document["status"] == "canceled"
    assert tasks["TASK_A"]["status"] == "canceled"
    assert tasks["TASK_A"]["result"]["exception"].startswith("TaskRevokedError")
    assert tasks["TASK_D"]["status"] == "pending"


def test_workflows_are_listed_newest_first(stack: Stack) -> None:
    older, newer = start_workflow(stack, "happy"), start_workflow(stack, "happy")

    response = httpx.get(f"{stack.api_url}/api/workflows", params={"limit": 2})

    assert [workflow["id"] for workflow in response.json()] == [newer, older]


def test_records_expire(stack: Stack) -> None:
    workflow_id = start_workflow(stack, "happy")

    for key in (f"workflow:{workflow_id}", "workflows"):
        assert 0 < stack.records.ttl(key) <= 24 * 3600
    assert json.loads(str(stack.records.get(f"workflow:{workflow_id}")))["id"] == workflow_id


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{not json", 400, "not valid JSON"),
        (b"\xff\xfe", 400, "not valid JSON"),
        (b"[" * 100_000, 400, "not valid JSON"),
        (b"[1]", 422, "object"),
        (b'{"project": "demo"}', 422, "name: Field required"),
        (b'{"project": "demo", "name": "PIPELINE", "payload": {"scenario": "happy"}}', 422, "payload.raw"),
        (b'{"project": "demo", "name": "NOPE", "payload": {"raw": ""}}', 404, "there are demo.PIPELINE"),
        (
            b'{"project": "demo", "name": "PIPELINE", "payload": {"raw": "", "scenario": "windy"}}',
            422,
            "there are happy, flaky, slow, down, partial_fail",
        ),
        (b" " * 1_000_001, 413, "at most 1000000 bytes"),
    ],
)
def test_bad_requests_are_answered_with_the_reason(
    stack: Stack, body: bytes, status: int, reason: str
) -> None:
    response = httpx.post(f"{stack.api_url}/api/workflows", content=body)

    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert reason in response.json()["error"]


def test_unknown_ids_and_paths_are_answered_with_a_sentence(stack: Stack) -> None:
    for path in ("/api/workflows/nope", "/nope"):
        response = httpx.get(f"{stack.api_url}{path}")
        assert response.status_code == httpx.codes.NOT_FOUND
        assert response.json()["error"].endswith(".")


def test_the_model_service_forgets_no_attempt_and_refuses_nonsense(stack: Stack) -> None:
    question = {"stage": "embed", "request_id": f"test-{time.time()}", "text": "x", "scenario": "flaky"}
    url = f"{stack.model_url}/v1/predict"

    assert [httpx.post(url, json=question).status_code for _ in range(3)] == [500, 500, 200]
    assert httpx.post(url, content=b"{").status_code == httpx.codes.BAD_REQUEST
    assert httpx.post(url, content=b"[" * 100_000).status_code == httpx.codes.BAD_REQUEST
    lone_surrogate = json.dumps({**question, "text": "\ud800"})
    assert httpx.post(url, content=lone_surrogate).status_code == httpx.codes.OK
    assert "unknown stage" in httpx.post(url, json={**question, "stage": "guess"}).json()["error"]
    assert httpx.get(f"{stack.model_url}/nope").status_code == httpx.codes.NOT_FOUND


def test_without_redis_the_api_says_so_at_once(stack: Stack) -> None:
    port = free_port()
    process = stack.spawn(
        "lonely_api",
        *(sys.executable, "-m", "tasks.workflow_api", "--port", str(port)),
        DEMO_REDIS_URL="redis://:secret@127.0.0.1:1",
    )
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: is_listening(port), "the API listens")

    question = {"project": "demo", "name": "PIPELINE", "payload": {"raw": "", "scenario": "happy"}}
    for response in (httpx.post(f"{url}/api/workflows", json=question), httpx.get(f"{url}/health")):
        assert response.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert response.json() == {"error": "Redis cannot be reached."}
    process.terminate()
    process.wait(90)


def is_listening(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
