"""The wheel, installed as a worker's image would install it: into an empty environment, without extras."""

from __future__ import annotations

import json
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.servers import ROOT, run

HEAVY = ("streamlit", "tornado", "pandas", "pyarrow", "fastapi", "uvicorn", "flower", "PIL")
PROBE = """
import importlib.util, json, sys
print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name)]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT), seconds=120)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the commands of an environment that has the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True)
    done = run(str(folder / "bin" / "python"), "-m", "pip", "install", "-q", str(wheel), seconds=180)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.mark.timeout(300)
def test_the_wheel_holds_one_top_level_package(wheel: Path) -> None:
    tops = {Path(name).parts[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"chordwatch"}


@pytest.mark.timeout(300)
def test_a_worker_image_gets_nothing_of_the_dashboards(installed: Path) -> None:
    found = run(str(installed / "python"), "-c", PROBE, "celery", "chordwatch", *HEAVY)
    assert json.loads(found.stdout) == ["celery", "chordwatch"]


@pytest.mark.timeout(300)
def test_the_commands_work_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    listed = run(str(installed / "celery"), "chords", "--help", cwd=tmp_path)
    assert listed.returncode == 0
    assert "monitor" in listed.stdout


@pytest.mark.timeout(300)
def test_the_monitor_without_its_extra_says_what_to_install(installed: Path, tmp_path: Path) -> None:
    url = "redis://127.0.0.1:1/0"
    done = run(
        str(installed / "celery"), "-b", url, "--result-backend", url, "chords", "monitor", cwd=tmp_path
    )
    assert done.returncode == 2
    assert "pip install 'chordwatch[monitor]'" in done.stderr
    assert "Traceback" not in done.stderr
