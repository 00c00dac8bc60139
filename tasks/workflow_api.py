"""Workflows over HTTP: `python -m tasks.workflow_api`.

`POST /api/workflows` starts one, `GET /api/workflows` lists the newest, `GET /api/workflows/<id>` shows one.
It stands for a pager as well: `POST /alerts` takes what Alertmanager sends, `GET /alerts` shows it, the newest first.
What is wrong with a request is answered with a 4xx and {"error": sentence}.
"""

from __future__ import annotations

import argparse
from collections import deque
from datetime import datetime
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kombu.exceptions import OperationalError
from pydantic import BaseModel, Field, ValidationError, field_validator
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException as AnyHTTPException

from tasks import model_service, records, workflows

BODY_LIMIT = 1_000_000
#: So many alerts are kept, in memory: they are for looking at.
ALERTS_KEPT = 100

api = FastAPI(title="Workflows", docs_url=None, redoc_url=None)


class Payload(BaseModel):
    """What the pipeline works on."""

    raw: str = Field(max_length=100_000)
    scenario: str = "happy"

    @field_validator("scenario")
    @classmethod
    def _is_known(cls, scenario: str) -> str:
        if scenario not in model_service.SCENARIOS:
            raise ValueError(f"unknown scenario; there are {', '.join(model_service.SCENARIOS)}")
        return scenario


class NewWorkflow(BaseModel):
    """Which workflow to start, and on what."""

    project: str = Field(max_length=100)
    name: str = Field(max_length=100)
    payload: Payload


class Alert(BaseModel):
    """An alert as Alertmanager tells it, begun or ended."""

    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime = Field(alias="startsAt")


class Message(BaseModel):
    """What Alertmanager sends for one group of alerts; what else it says is not looked at."""

    alerts: list[Alert]


alerts: deque[Alert] = deque(maxlen=ALERTS_KEPT)


async def read_body(request: Request) -> bytes:
    """Read the request's body, whatever type it claims to be: `curl -d` claims it is a form."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > BODY_LIMIT:
        raise HTTPException(
            413 if length else 411,
            f"A body of at most {BODY_LIMIT} bytes, with its Content-Length, is needed.",
        )
    return await request.body()


Body = Annotated[bytes, Depends(read_body)]


@api.post("/api/workflows", status_code=201)
def start_workflow(body: Body) -> dict[str, Any]:
    """Start a workflow and show it."""
    new = NewWorkflow.model_validate_json(body)
    # Celery would try for 20 seconds to reach a backend that is away.
    records.client().ping()
    try:
        workflow_id, _ = workflows.start(new.project, new.name, new.payload.model_dump())
    except workflows.UnknownWorkflowError as error:
        raise HTTPException(404, str(error)) from error
    return get_workflow(workflow_id)


@api.get("/api/workflows")
def list_workflows(limit: Annotated[int, Query(ge=1, le=500)] = 50) -> list[dict[str, Any]]:
    """List the newest workflows."""
    return [workflows.view(record) for record in records.newest(limit)]


@api.get("/api/workflows/{workflow_id}")
def get_workflow(workflow_id: str) -> dict[str, Any]:
    """Show a workflow with its tasks."""
    record = records.find(workflow_id)
    if record is None:
        raise HTTPException(404, f"There is no workflow {workflow_id[:100]!r}; records are kept for a day.")
    return workflows.view(record)


@api.post("/alerts", status_code=204)
async def take_alerts(body: Body) -> None:
    """Keep what Alertmanager tells."""
    alerts.extendleft(Message.model_validate_json(body).alerts)


@api.get("/alerts")
async def list_alerts() -> list[Alert]:
    """List what Alertmanager told last, the newest first."""
    return list(alerts)


@api.get("/health")
def health() -> dict[str, str]:
    """Say that this process and its Redis are there."""
    records.client().ping()
    return {"status": "ok"}


@api.exception_handler(ValidationError)
@api.exception_handler(RequestValidationError)
def explain_invalid(_: Request, error: ValidationError | RequestValidationError) -> JSONResponse:
    """Answer a request that cannot be understood with the first thing that is wrong with it."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return JSONResponse({"error": f"The body is not valid JSON: {first['ctx']['error']}."}, 400)
    place = ".".join(str(part) for part in first["loc"]) or "body"
    return JSONResponse({"error": f"{place}: {first['msg'].removeprefix('Value error, ')}."}, 422)


@api.exception_handler(AnyHTTPException)
def explain(request: Request, error: AnyHTTPException) -> JSONResponse:
    """Answer with the reason; the framework's own ("Not Found") do not say what was asked."""
    reason = (
        error.detail
        if error.detail.endswith(".")
        else f"{error.detail}: {request.method} {request.url.path}."
    )
    return JSONResponse({"error": reason}, error.status_code)


@api.exception_handler(OperationalError)
@api.exception_handler(RedisError)
def explain_unreachable(_: Request, __: Exception) -> JSONResponse:
    """Answer that the broker or the records are away, without their address."""
    return JSONResponse({"error": "Redis cannot be reached."}, 503)


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tasks.workflow_api", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    uvicorn.run(api, host=arguments.host, port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
