"""Brings faults about for real, and records what `/metrics` shows: `python -m tests.alerts.record [SCENE...]`.

Without names all scenes, in half an hour. Writes alerts/tests/recorded/<scene>.yml, of which
`python -m tests.alerts.write` makes promtool's tests.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import yaml

from chordwatch import __version__
from tests.alerts.installation import Installation
from tests.alerts.recording import FOLDER, Recording
from tests.alerts.scenes import SCENES, Scene
from tests.alerts.scraper import words

RULES = FOLDER.parents[1] / "chords.rules.yml"


def record(scene: Scene, folder: Path) -> Recording:
    """Play a scene in an installation of its own, whose logs go to `folder`; return what the rules read of it."""
    it = Installation(folder=folder, variables=scene.variables)
    try:
        scene.play(it)
        assert it.scraper
        it.scraper.stop()
        return it.scraper.recording(read_by_rules(), scene=scene.name, about=scene.about, version=__version__)
    finally:
        it.close()


def read_by_rules() -> frozenset[str]:
    """Return the names of what the rules' expressions read."""
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return words(" ".join(rule["expr"] for group in document["groups"] for rule in group["rules"]))


def main(names: list[str]) -> int:
    """Record the scenes of these names; return the exit code."""
    if unknown := set(names) - SCENES.keys():
        print(f"No such scene: {', '.join(sorted(unknown))}. There are: {', '.join(SCENES)}.")
        return 2
    for name in names or SCENES:
        with tempfile.TemporaryDirectory(prefix="chordwatch-record-") as folder:
            print(f"{name} ...", flush=True)
            print(record(SCENES[name], Path(folder)).save(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
