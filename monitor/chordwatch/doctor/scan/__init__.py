"""Look for what hangs or loses chords in the text of a project. Reads files; imports and runs none of their code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chordwatch.doctor.finding import Finding
from chordwatch.doctor.scan import chord_rules, task_rules
from chordwatch.doctor.scan.files import modules
from chordwatch.doctor.scan.names import Module
from chordwatch.doctor.scan.rule import finding
from chordwatch.doctor.scan.tasks import Project

RULES = (*chord_rules.RULES, *task_rules.RULES)
#: So many are shown; who has more needs no longer list.
MOST_FINDINGS = 1000


def scan(path: Path) -> list[Finding]:
    """Return what the rules find in the file or the folder, file by file, each in the order of its lines.

    What cannot be read or understood is a note (`not_scanned`); nothing that stands in a file raises.
    """
    read = list(modules(path))
    understood = [module for module in read if isinstance(module, Module)]
    found = [one for one in read if isinstance(one, Finding)]
    project = Project(understood)
    for module in understood:
        found.extend(_of_module(module, project))
        if len(found) > MOST_FINDINGS:
            left = finding(
                module,
                module.tree,
                "not_scanned",
                "note",
                f"Only {MOST_FINDINGS:,} findings are shown.",
                "Mend these.",
            )
            return [*found[:MOST_FINDINGS], left]
    return found


def _of_module(module: Module, project: Project) -> list[Finding]:
    return sorted(dict.fromkeys(_judged(module, project)), key=lambda one: int(one.where.rpartition(":")[2]))


def _judged(module: Module, project: Project) -> Iterator[Finding]:
    for rule in RULES:
        yield from rule(module, project)
