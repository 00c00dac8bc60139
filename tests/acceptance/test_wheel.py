"""The wheel, installed as a worker's image would install it: into an empty environment, without extras."""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.polling import wait_until
from tests.support.servers import (
    ROOT,
    Processes,
    RedisServer,
    celery,
    clean_environment,
    free_port,
    run,
)

HEAVY = ("streamlit", "tornado", "pandas", "pyarrow", "fastapi", "uvicorn", "flower", "PIL")
PROBE = """
import importlib.util, json, sys
print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name)]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT), seconds=360)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the commands of an environment that has the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True)
    done = run(str(folder / "bin" / "python"), "-m", "pip", "install", "-q", str(wheel), seconds=540)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


def test_the_wheel_holds_one_top_level_package(wheel: Path) -> None:
    tops = {Path(name).parts[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"chordwatch"}


def test_a_worker_image_gets_nothing_of_the_dashboards(installed: Path) -> None:
    found = run(str(installed / "python"), "-c", PROBE, "celery", "chordwatch", *HEAVY)
    assert json.loads(found.stdout) == ["celery", "chordwatch"]


def test_the_commands_work_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    listed = run(str(installed / "celery"), "chords", "--help", cwd=tmp_path)
    assert listed.returncode == 0
    assert "monitor" in listed.stdout


def test_the_monitor_without_its_extra_says_what_to_install(installed: Path, tmp_path: Path) -> None:
    url = "redis://127.0.0.1:1/0"
    done = run(
        str(installed / "celery"), "-b", url, "--result-backend", url, "chords", "monitor", cwd=tmp_path
    )
    assert done.returncode == 2
    assert "pip install 'chordwatch[monitor]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_dashboard_without_its_extra_says_what_to_install(installed: Path, tmp_path: Path) -> None:
    url = "redis://127.0.0.1:1/0"
    done = run(
        str(installed / "celery"), "-b", url, "--result-backend", url, "chords", "dashboard", cwd=tmp_path
    )
    assert done.returncode == 2
    assert "pip install 'chordwatch[dashboard]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_wheel_has_the_dashboards_and_the_alert_rules(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    files = {path for path in (ROOT / "dashboards").rglob("*") if path.is_file() and path.suffix != ".pyc"}
    wanted = {path.relative_to(ROOT) for path in files} | {Path("alerts/chords.rules.yml")}

    assert {Path("dashboards/.streamlit/config.toml"), Path("dashboards/flowerconfig.py")} <= wanted
    assert {name for name in held if name.split("/")[1] in {"dashboards", "alerts"}} == {
        f"chordwatch/{path.as_posix()}" for path in wanted
    }


@pytest.fixture
def unpacked(wheel: Path, tmp_path: Path) -> Path:
    """Return a folder with the wheel's package and its commands' names, as pip unpacks it."""
    folder = tmp_path / "site"
    done = run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), str(wheel))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.faults
def test_the_dashboard_starts_from_the_wheel_and_ends_quietly(
    unpacked: Path, tmp_path: Path, processes: Processes, redis: RedisServer
) -> None:
    project = f"from celery import Celery\napp = Celery('shop', broker='{redis.url(0)}', backend='{redis.url(1)}')\n"
    (tmp_path / "shop.py").write_text(project)
    port = free_port()
    env = clean_environment(PYTHONPATH=str(unpacked))
    command = celery("-A", "shop", "chords", "dashboard", "--port", str(port))
    server = processes.start("dashboard", *command, cwd=tmp_path, env=env)

    wait_until(lambda: server.poll() is not None or _answers(f"http://127.0.0.1:{port}/"), "the page answers")
    assert server.poll() is None, processes.log("dashboard")
    assert str(unpacked / "chordwatch" / "dashboards" / "app.py") in _arguments(server.pid)
    os.kill(server.pid, signal.SIGINT)

    assert server.wait(90) == 0
    assert "Traceback" not in processes.log("dashboard")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:  # not there yet, or there and not ready
        return False


def _arguments(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
