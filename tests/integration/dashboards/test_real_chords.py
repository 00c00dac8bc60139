from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import chord_source
import pytest
from celery import Celery
from dashboard_servers import Server

from chordwatch.board.source import Source
from tests.support.servers import ROOT, free_port

streamlit = pytest.importorskip("streamlit", reason="Streamlit is not installed: the extra `dashboard`")

from streamlit.testing.v1 import AppTest  # noqa: E402  # after the skip

SENDER = """
import sys
from celery import Celery, chord
url, parts, queue = sys.argv[1:]
app = Celery("sender", broker=f"{url}/0", backend=f"{url}/1")
header = [app.signature("small.part", args=(number,), queue=queue) for number in range(int(parts))]
print(chord(header, app=app)(app.signature("small.report")).parent.id)
"""
APP = ROOT / "dashboards" / "app.py"


@pytest.fixture(autouse=True)
def _fresh_dashboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No app in the environment, nothing cached, and a new source each time the page is drawn."""
    for name in ("CHORDWATCH_APP", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    opened: list[tuple[Celery, Any, Source]] = []

    def open_source() -> Source:
        app = chord_source.app_from_environment()
        # An app has one backend for each thread, and the page is drawn in a thread of its own.
        opened.append((app, app.backend, Source(app)))
        return opened[-1][-1]

    monkeypatch.setattr(chord_source, "open_source", open_source)
    streamlit.cache_resource.clear()
    yield
    streamlit.cache_resource.clear()
    # A dashboard keeps its connections until its process ends; in this process an open socket is a warning.
    for app, backend, source in opened:
        source.close()
        backend.client.connection_pool.disconnect()
        app.pool.force_close_all()
        app.close()


def again(page: AppTest) -> AppTest:
    """Draw the page once more, on what is there now."""
    streamlit.cache_resource.clear()
    return page.run()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], AppTest]:
    """Return a function that opens the dashboard on the Redis at a URL."""

    def watched(url: str) -> AppTest:
        monkeypatch.setenv("CELERY_BROKER_URL", f"{url}/0")
        monkeypatch.setenv("CELERY_RESULT_BACKEND", f"{url}/1")
        return AppTest.from_file(str(APP), default_timeout=60).run()

    return watched


def send_chord(url: str, *, parts: int, queue: str) -> str:
    """Send a chord from a process of its own, to workers that are not there; return its group id."""
    command = (sys.executable, "-c", SENDER, url, str(parts), queue)
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


def test_a_chord_that_nobody_works_on_is_shown_as_stuck(
    redis_url: str, watched: Callable[[str], AppTest]
) -> None:
    chord_id = send_chord(redis_url, parts=5, queue="low")

    page = watched(redis_url)

    assert not page.exception
    assert page.header[0].value.startswith(":red[1 of 1 open chord")
    row = page.dataframe[0].value.iloc[0].to_dict()
    assert (row["chord_id"], row["callback"], row["counted"]) == (chord_id, "small.report", "0 of 5")
    assert row["waits_for"] == "5 in queue low"
    assert "no worker" in row["why"]
    queue = page.dataframe[1].value.iloc[0].to_dict()
    assert (queue["name"], queue["length"], queue["stuck"]) == ("low", 5, 1)
    assert queue["consumers"].startswith("0: nobody")


def test_an_empty_redis_is_the_empty_state(redis_url: str, watched: Callable[[str], AppTest]) -> None:
    page = watched(redis_url)

    assert not page.exception
    assert page.header[0].value == "No open chords"


def test_redis_down_is_a_sentence_without_the_password(watched: Callable[[str], AppTest]) -> None:
    port = free_port()

    page = watched(f"redis://:hunter2@127.0.0.1:{port}")

    assert not page.exception
    assert page.error[0].value == "**The chords cannot be read.**"
    assert f"127.0.0.1:{port}" in page.text[0].value
    assert "hunter2" not in str(page)


def test_the_page_survives_a_restart_of_redis(
    start_redis: Callable[[int], Server], watched: Callable[[str], AppTest]
) -> None:
    server = start_redis(free_port())
    page = watched(server.url)
    assert page.header[0].value == "No open chords"

    server.process.terminate()
    server.process.wait(90)
    again(page)
    assert page.error[0].value == "**The chords cannot be read.**"

    start_redis(int(server.url.rpartition(":")[2]))
    send_chord(server.url, parts=2, queue="low")
    again(page)
    assert not page.exception
    assert page.header[0].value.startswith(":red[1 of 1 open chord")
