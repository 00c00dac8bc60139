"""`chords doctor`: hazards before they bite. Exit 1 when one is an error, 3 when a server does not answer."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from celery import Celery
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from chordwatch.board.examined import Examination, examination_of
from chordwatch.cli import UNREACHABLE, session
from chordwatch.diagnosis.wording import plural
from chordwatch.doctor.examine import SEVERITIES, worst_first
from chordwatch.doctor.finding import Finding
from chordwatch.text import plain

if TYPE_CHECKING:
    from chordwatch.doctor.probe import Probe

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_LONGEST = 2000
_INDENT = 9


@click.command("doctor")
@click.option(
    "--scan",
    "path",
    type=click.Path(exists=True, path_type=Path),
    help="Also read the source code in this file or folder; nothing of it is run.",
)
@click.option("--probe", "probing", is_flag=True, help="Also send a small group and a chord through a queue.")
@click.option("-Q", "--queue", metavar="QUEUE", help="The probe's queue.  [default: task_default_queue]")
@session.format_option
@click.pass_context
def command(ctx: click.Context, path: Path | None, probing: bool, queue: str | None, format_: str) -> None:
    """Find what will make chords hang: configuration, servers, workers, and with --scan the code."""
    if queue is not None and not probing:
        raise click.UsageError("-Q names the queue of the probe; give --probe too.")
    app = session.app_of(ctx)
    # The project's modules are imported, and what they print is not ours to put on stdout.
    with redirect_stdout(sys.stderr):
        examination = examination_of(app)
    findings = [*examination.findings, *(_scanned(path) if path else ())]
    probe = _probed(app, queue) if probing and not examination.unreachable else None
    if probe and probe.finding:
        findings.append(probe.finding)
    findings = worst_first(findings)
    if format_ == "json":
        session.print_json(_document(findings, examination, probe))
    else:
        session.print_table(ctx, _table(findings, examination, probe))
    session.print_gaps(examination.gaps)
    for sentence in examination.unreachable:
        click.echo(sentence, err=True)
    if examination.unreachable:
        ctx.exit(UNREACHABLE)
    ctx.exit(int(any(finding.severity == "error" for finding in findings)))


def _scanned(path: Path) -> list[Finding]:
    from chordwatch.doctor.scan import scan  # noqa: PLC0415  # only where source code is read

    return scan(path)


def _probed(app: Celery, queue: str | None) -> Probe:
    from chordwatch.doctor.probe import probe  # noqa: PLC0415  # only where something is sent

    return probe(app, queue)


def _document(findings: list[Finding], examination: Examination, probe: Probe | None) -> dict[str, Any]:
    return {
        "version": 1,
        "findings": [asdict(finding) for finding in findings],
        "probe": probe and {"passed": probe.finding is None, "steps": [asdict(step) for step in probe.steps]},
        "not_seen": list(examination.gaps),
        "unreachable": list(examination.unreachable),
    }


def _table(findings: list[Finding], examination: Examination, probe: Probe | None) -> RenderableType:
    lines: list[RenderableType] = [line for finding in findings for line in _finding(finding)]
    if probe:
        lines.extend(_steps(probe))
    return Group(*lines, _summary(findings), Text(examination.basis, style="dim"))


def _finding(finding: Finding) -> Iterator[RenderableType]:
    severity = (f"{finding.severity:<{_INDENT}}", _STYLES[finding.severity])
    yield Text.assemble(severity, (plain(finding.rule), "bold"), f"  {plain(finding.where, _LONGEST)}")
    yield Padding(Text(plain(finding.reason, _LONGEST)), (0, 0, 0, _INDENT), expand=False)
    yield Padding(Text(f"Fix: {plain(finding.fix, _LONGEST)}", style="dim"), (0, 0, 0, _INDENT), expand=False)
    yield Text("")


def _steps(probe: Probe) -> Iterator[RenderableType]:
    yield Text("Probe", style="bold")
    for step in probe.steps:
        mark, style = ("ok", "green") if step.passed else ("fails", "bold red")
        yield Text.assemble((f"{mark:<{_INDENT}}", style), plain(step.what, _LONGEST))
    yield Text("")


def _summary(findings: list[Finding]) -> Text:
    counts = Counter(finding.severity for finding in findings)
    many = [plural(counts[severity], severity) for severity in SEVERITIES if counts[severity]]
    return Text(f"{', '.join(many)}." if many else "No hazard found.")
