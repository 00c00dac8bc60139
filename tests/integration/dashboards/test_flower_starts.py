from __future__ import annotations

import base64
import sys
import urllib.request
from pathlib import Path

import pytest
from dashboard_servers import OTHER_ADDRESS, Server, Start, status_of

from tests.support.servers import free_port

pytest.importorskip("flower", reason="Flower is not installed: the extra `flower`")

CONFIG = Path(__file__).parents[3] / "dashboards" / "flowerconfig.py"


def flower(start: Start, project: Path, *options: str, **env: str) -> Server:
    """Start Flower in `project` with our file and `options`, as a user would."""
    url = f"http://127.0.0.1:{free_port()}"
    command = (sys.executable, "-m", "celery", "-A", "small_project", "flower", f"--conf={CONFIG}")
    ready = lambda: status_of(f"{url}/healthcheck") == 200  # noqa: E731  # too small for a def
    return start(
        *command, f"--port={url.rpartition(':')[2]}", *options, url=url, ready=ready, cwd=project, **env
    )


def test_its_pages_answer_on_this_machine_alone_and_no_task_events_are_asked_for(
    start: Start, project: Path
) -> None:
    server = flower(start, project, "--debug")

    pages = ("/", "/workers", "/tasks", "/broker", "/metrics")
    assert {page: status_of(server.url + page) for page in pages} == dict.fromkeys(pages, 200)
    assert status_of(server.url.replace("127.0.0.1", OTHER_ADDRESS)) == 0
    assert "enable events timer" not in server.log.read_text()


def test_its_queues_are_shown_without_task_events(start: Start, project: Path) -> None:
    server = flower(start, project)

    with urllib.request.urlopen(f"{server.url}/broker", timeout=10) as response:
        page = response.read().decode()

    assert "celery" in page


def test_it_changes_nothing_unless_told_so_even_with_a_password(start: Start, project: Path) -> None:
    server = flower(start, project, "--basic-auth=me:secret")
    authorization = "Basic " + base64.b64encode(b"me:secret").decode()
    shutdown = f"{server.url}/api/worker/shutdown/celery@nobody"

    assert status_of(f"{server.url}/workers") == 401
    assert status_of(f"{server.url}/workers", authorization=authorization) == 200
    assert status_of(shutdown, method="POST", authorization=authorization) == 403


def test_an_address_in_the_environment_or_on_the_command_line_wins_over_the_file(
    start: Start, project: Path
) -> None:
    told_by_environment = flower(start, project, FLOWER_ADDRESS="0.0.0.0")
    told_by_option = flower(start, project, "--address=0.0.0.0")

    for server in (told_by_environment, told_by_option):
        assert status_of(server.url.replace("127.0.0.1", OTHER_ADDRESS) + "/healthcheck") == 200
