"""What a stranger gets wrong on the command line, and an output that cannot be written: a sentence and an exit code."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.integration.xray.stranger import chords
from tests.support.servers import RedisServer, celery, clean_environment

FULL = Path("/dev/full")


def run(*arguments: str, stdout: int | None = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        celery(*arguments),
        cwd=tempfile.gettempdir(),
        env=clean_environment(),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=180,
        check=False,
    )


def test_check_without_a_result_backend_says_so_and_exits_3(redis: RedisServer) -> None:
    done = run("-b", redis.url(0), "chords", "check")

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "No result backend is configured; give the workers' one with --result-backend or -A: without it nobody can "
        "tell whether a chord is hung.\n"
    )


@pytest.mark.parametrize(
    "command", [("list",), ("check",), ("show", "x"), ("config",), ("doctor",), ("monitor", "--port", "0")]
)
@pytest.mark.parametrize(
    "broker", ["redis://127.0.0.1:notaport/1", "nonsense://x", "redis://:open/sesame@127.0.0.1/0"]
)
def test_a_broker_of_which_nothing_can_be_made_is_a_sentence_and_exit_3(
    command: tuple[str, ...], broker: str
) -> None:
    done = chords(broker, "redis://127.0.0.1:1/0", *command)

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("The broker's URL ")
    assert done.stderr.count("\n") == 1
    assert "open" not in done.stderr


@pytest.mark.parametrize("wrong", ["broker", "backend"])
def test_what_redis_answers_is_told(redis: RedisServer, wrong: str) -> None:
    numbers = (99, 1) if wrong == "broker" else (0, 99)
    done = chords(*(redis.url(number) for number in numbers), "list")

    assert (done.returncode, done.stdout) == (3, "")
    assert '/99 answers "DB index is out of range"; ' in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "command", [("list",), ("check",), ("list", "--format", "json"), ("rules",), ("config",)]
)
def test_an_output_that_cannot_be_written_is_a_sentence_and_exit_74(
    redis: RedisServer, command: tuple[str, ...]
) -> None:
    with FULL.open("w") as full:
        done = run(
            "-b", redis.url(0), "--result-backend", redis.url(1), "chords", *command, stdout=full.fileno()
        )

    assert done.returncode == 74
    assert done.stderr == (
        "The output cannot be written (No space left on device); send it to a place with room for it.\n"
    )


def test_a_reader_that_has_gone_is_no_error(redis: RedisServer) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run("-b", redis.url(0), "--result-backend", redis.url(1), "chords", "rules", stdout=writing)
    os.close(writing)

    assert done.stderr == ""
