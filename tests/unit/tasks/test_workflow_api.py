"""What the workflow API does as a pager; its workflows need a Redis and are tested with one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient, Response

from tasks import workflow_api

ALERT = {
    "status": "firing",
    "labels": {"alertname": "CeleryChordHung", "callback": "tasks.shapes.total"},
    "annotations": {"summary": "1 chord hangs."},
    "startsAt": "2026-03-01T14:02:07.1Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus:9090/graph",
}


@pytest.fixture(autouse=True)
def none_at_first() -> Iterator[None]:
    workflow_api.alerts.clear()
    yield
    workflow_api.alerts.clear()


def ask(method: str, body: bytes | None = None) -> Response:
    async def asked() -> Response:
        transport = ASGITransport(workflow_api.api)
        async with AsyncClient(transport=transport, base_url="http://workflow-api") as client:
            return await client.request(method, "/alerts", content=body)

    return asyncio.run(asked())


def message(*alerts: dict[str, Any]) -> bytes:
    return json.dumps({"version": "4", "status": "firing", "alerts": alerts}).encode()


def test_what_alertmanager_tells_is_listed_newest_first() -> None:
    assert ask("POST", message(ALERT)).status_code == 204
    assert ask("POST", message({**ALERT, "status": "resolved"})).status_code == 204

    listed = ask("GET").json()

    assert [alert["status"] for alert in listed] == ["resolved", "firing"]
    assert listed[1]["labels"] == ALERT["labels"]
    assert listed[1]["annotations"] == ALERT["annotations"]
    assert listed[1]["startsAt"].startswith("2026-03-01T14:02:07.1")


def test_only_the_last_hundred_are_kept() -> None:
    for number in range(workflow_api.ALERTS_KEPT + 1):
        ask("POST", message({**ALERT, "annotations": {"summary": str(number)}}))

    summaries = [alert["annotations"]["summary"] for alert in ask("GET").json()]

    assert summaries == [str(number) for number in range(workflow_api.ALERTS_KEPT, 0, -1)]


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"{}", 422), (b'{"alerts": [{}]}', 422), (b"x" * 1_000_001, 413)]
)
def test_what_is_no_message_of_alertmanager_is_refused_with_a_sentence(body: bytes, status: int) -> None:
    response = ask("POST", body)

    assert response.status_code == status
    assert set(response.json()) == {"error"}
    assert ask("GET").json() == []
