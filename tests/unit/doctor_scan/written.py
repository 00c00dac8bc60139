"""A project written for a test, and what the scan must find in it: exactly the lines that say so.

A line that ends in `# ! rule` must be found by that rule, and no other line by any rule.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from chordwatch.doctor.finding import Finding
from chordwatch.doctor.scan import scan

MARK = re.compile(r"# ! (\w+)")
PRELUDE = """\
from celery import Celery, chain, chord, group, shared_task
app = Celery()
@app.task
def add(x, y): return x + y
@app.task
def total(numbers): return sum(numbers)
"""


def project(folder: Path, *sources: str, files: Mapping[str, str] = MappingProxyType({})) -> list[Finding]:
    """Write the sources, each after PRELUDE, and the files as they are; return what the scan finds."""
    for number, source in enumerate(sources):
        (folder / f"module{number}.py").write_text(PRELUDE + textwrap.dedent(source))
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
    return scan(folder)


def marked(folder: Path) -> set[tuple[str, str]]:
    """Return rule and place of each mark in the folder."""
    return {
        (rule, f"{path}:{number}")
        for path in folder.rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for rule in MARK.findall(line)
    }


def said(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(one.rule, one.where) for one in findings}
