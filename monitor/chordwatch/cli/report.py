"""`chords report ID`: Markdown to paste into a ticket. No arguments, results, hosts or passwords."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterator
from importlib.metadata import version

import click
from celery import Celery

from chordwatch.cli import session
from chordwatch.cli.detail import moment, place_words
from chordwatch.model import Chord, Verdict
from chordwatch.text import plain
from chordwatch.watch import Sighting
from chordwatch.watch.words import progress_of

_SETTINGS = (
    "task_acks_late",
    "task_reject_on_worker_lost",
    "task_time_limit",
    "task_soft_time_limit",
    "task_ignore_result",
    "task_track_started",
    "worker_prefetch_multiplier",
    "result_expires",
    "result_serializer",
    "result_extended",
)
_ROWS = 20
_ADDRESS = re.compile(r"[a-z+]+://[^\s)]+")
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~$@&])")


@click.command("report")
@click.argument("id_", metavar="ID")
@click.pass_context
def command(ctx: click.Context, id_: str) -> None:
    """Print a Markdown report on one chord, fit for a public ticket."""
    with session.watching(ctx) as watch:
        sighting, gaps = session.sighted(ctx, watch, id_)
    click.echo(markdown(sighting, gaps, session.app_of(ctx)))


def markdown(sighting: Sighting, gaps: tuple[str, ...], app: Celery) -> str:
    """Return the report. Workers are numbered and errors told by type: their texts may hold anything."""
    chord = sighting.chord
    lines = (
        f"## Chord `{plain(chord.chord_id).replace('`', '')}`",
        "",
        *_facts(sighting),
        *(line for verdict in chord.verdicts for line in _verdict(verdict)),
        *_missing(sighting),
        *_environment(app),
        *(
            ("", "### Not seen", "", *(f"- {_escaped(_ADDRESS.sub('its address', gap))}" for gap in gaps))
            if gaps
            else ()
        ),
    )
    return _anonymous("\n".join(lines), sighting)


def _facts(sighting: Sighting) -> Iterator[str]:
    chord, callback = sighting.chord, sighting.chord.callback
    yield f"- Health: **{chord.health}** ({chord.state})"
    yield f"- Counted: {progress_of(chord)}"
    yield f"- Callback: {_escaped(plain(callback.name or 'name not known'))}, {callback.state}"
    yield f"- Last progress: {moment(chord.progressed_at)}"
    yield f"- Evidence expires: {moment(chord.evidence_expires_at)}"
    yield f"- Written: {moment(time.time())}"


def _verdict(verdict: Verdict) -> Iterator[str]:
    yield from (
        "",
        f"### {verdict.cause} ({verdict.outcome}{'' if verdict.certain else ', not certain'})",
        "",
    )
    yield _escaped(verdict.summary)
    yield ""
    yield from (f"- {_escaped(line)}" for line in verdict.evidence)
    if verdict.question:
        yield f"- Open question: {_escaped(verdict.question)}"


def _missing(sighting: Sighting) -> Iterator[str]:
    missing = sighting.chord.missing
    if not missing:
        return
    yield from ("", f"### Missing parts ({len(missing):,})", "", "| index | task | where |", "|---|---|---|")
    for gap in missing[:_ROWS]:
        index = "–" if gap.index is None else str(gap.index)
        where = place_words(sighting.places.get(gap.task_id or "")) or "id not known"
        yield f"| {index} | {_escaped(plain(gap.name or '?'))} | {_escaped(where)} |"
    if len(missing) > _ROWS:
        yield f"| … | {len(missing) - _ROWS:,} more | |"


def _environment(app: Celery) -> Iterator[str]:
    yield from ("", "### Environment", "")
    packages = ", ".join(f"{name} {version(name)}" for name in ("chordwatch", "celery", "kombu", "redis"))
    yield f"- {packages}, Python {platform.python_version()}"
    yield f"- Broker: {app.connection_for_read().transport_cls}, result backend: {type(app.backend).__name__}"
    yield f"- Settings: {', '.join(f'`{name}`={app.conf.get(name)}' for name in _SETTINGS)}"


def _anonymous(text: str, sighting: Sighting) -> str:
    """Replace workers' names, which hold hosts, by numbers, and errors' texts by their types."""
    chord = sighting.chord
    for error in sorted(_errors(chord), key=len, reverse=True):
        kind = error.partition(":")[0]
        for limit in (200, 120):
            text = text.replace(_escaped(plain(error, limit)), _escaped(kind))
    hosts = {
        place.name for place in sighting.places.values() if place.kind in ("active", "reserved", "scheduled")
    }
    hosts |= set(_HOSTS.findall(text))
    for number, host in enumerate(sorted((h for h in hosts if h), key=len, reverse=True), start=1):
        text = text.replace(_escaped(plain(host)), f"worker-{number}").replace(host, f"worker-{number}")
    return text


#: `name@host`, whose characters `_escaped` may have put a backslash before.
_HOSTS = re.compile(r"(?:\\?[\w.+-])+\\?@(?:\\?[\w.-])*\\?\w")


def _errors(chord: Chord) -> set[str]:
    return {error for error in (chord.callback.error, *(task.error for task in chord.header)) if error}


def _escaped(text: str) -> str:
    """Return text as Markdown shows it literally."""
    return _SPECIAL.sub(r"\\\1", text)
