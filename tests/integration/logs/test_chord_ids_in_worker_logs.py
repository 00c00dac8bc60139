"""The example of docs/recording.md does in a real worker what the text says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from celery import Celery, chord

from tasks.launch import launch
from tests.support.polling import wait_until
from tests.support.servers import ROOT, Processes, RedisServer, celery, clean_environment

PROJECT = """
import os
from celery import Celery
from celery.utils.log import get_task_logger

app = Celery("speaking", broker=os.environ["PROJECT_BROKER"], backend=os.environ["PROJECT_BROKER"])
logger = get_task_logger(__name__)

@app.task
def speak(word):
    logger.info("saying %s", word)

@app.task
def collect(words):
    logger.info("all said")
"""


def example() -> str:
    page = (ROOT / "docs" / "recording.md").read_text()
    blocks: list[str] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    return next(block for block in blocks if "ChordLogFilter" in block)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_each_line_of_a_task_names_its_chord(
    redis: RedisServer, processes: Processes, tmp_path: Path, pool: str
) -> None:
    (tmp_path / "speaking.py").write_text(example() + PROJECT)
    processes.start(
        "worker",
        *celery("-A", "speaking", "worker", "-P", pool, "-c", "2", "-l", "INFO", "--without-mingle"),
        cwd=tmp_path,
        env=clean_environment(PROJECT_BROKER=redis.url(0)),
    )
    app = Celery("outside", broker=redis.url(0), backend=redis.url(0), set_as_current=False)
    with app:
        header = [app.signature("speaking.speak", args=(word,)) for word in "abc"]
        started = launch(chord(header, app.signature("speaking.collect"), app=app))
        app.send_task("speaking.speak", ("alone",), ignore_result=True)
        wait_until(lambda: "all said" in processes.log("worker"), "the chord has run")
        wait_until(lambda: "saying alone" in processes.log("worker"), "the plain task has run")

    lines = [line.partition(" INFO ")[2] for line in processes.log("worker").splitlines()]
    for index, word in enumerate("abc"):
        assert f"{started.chord_id} header {index} saying {word}" in lines
    assert f"{started.chord_id} callback  all said" in lines
    assert "   saying alone" in lines
