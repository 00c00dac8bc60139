"""The report on one chord: Markdown to paste into a ticket. No arguments, results, hosts or passwords.

Times are in UTC, because it is read elsewhere than it was written.
"""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterator
from importlib.metadata import version

from celery import Celery
from celery.loaders.default import Loader as DefaultLoader

from chordwatch.board.graph import callback_state
from chordwatch.board.links import cause_url
from chordwatch.board.unquoted import unquoted
from chordwatch.diagnosis.wording import clock
from chordwatch.model import Verdict
from chordwatch.text import plain
from chordwatch.watch import Sighting
from chordwatch.watch.words import place_words, progress_of

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


def report_of(sighting: Sighting, gaps: tuple[str, ...], app: Celery) -> str:
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
    # Lone surrogates, which JSON can carry, could not be written anywhere.
    return _anonymous("\n".join(lines), sighting).encode("utf-8", "backslashreplace").decode()


def _facts(sighting: Sighting) -> Iterator[str]:
    chord, callback = sighting.chord, sighting.chord.callback
    yield f"- Health: **{chord.health}** ({chord.state})"
    yield f"- Counted: {progress_of(chord)}"
    yield f"- Callback: {_escaped(plain(callback.name or 'name not known'))}, {callback_state(chord)}"
    yield f"- Last progress: {clock(chord.progressed_at)}"
    yield f"- Evidence expires: {clock(chord.evidence_expires_at)}"
    yield f"- Written: {clock(time.time())}"


def _verdict(verdict: Verdict) -> Iterator[str]:
    yield from (
        "",
        f"### {verdict.cause} ({verdict.outcome}{'' if verdict.certain else ', not certain'})",
        "",
    )
    yield _told(verdict.summary)
    yield ""
    yield from (f"- {_told(line)}" for line in verdict.evidence)
    if verdict.question:
        yield f"- Open question: {_told(verdict.question)}"
    yield f"- Remedy: {_escaped(verdict.remedy)}"
    yield f"- About this cause: [{_escaped(plain(verdict.docs))}]({cause_url(verdict)})"


def _told(sentence: str) -> str:
    """Return a sentence of a verdict without errors' texts and servers' addresses."""
    return _escaped(_ADDRESS.sub("its address", unquoted(sentence)))


def _missing(sighting: Sighting) -> Iterator[str]:
    missing = sighting.chord.missing
    if not missing:
        return
    yield from ("", f"### Missing parts ({len(missing):,})", "", "| index | task | where |", "|---|---|---|")
    for gap in missing[:_ROWS]:
        index = "–" if gap.index is None else str(gap.index)
        where = place_words(sighting.places.get(gap.task_id or ""), clock) or "id not known"
        yield f"| {index} | {_escaped(plain(gap.name or '?'))} | {_escaped(where)} |"
    if len(missing) > _ROWS:
        yield f"| … | {len(missing) - _ROWS:,} more | |"


def _environment(app: Celery) -> Iterator[str]:
    yield from ("", "### Environment", "")
    packages = ", ".join(f"{name} {version(name)}" for name in ("chordwatch", "celery", "kombu", "redis"))
    yield f"- {packages}, Python {platform.python_version()}"
    yield f"- Broker: {app.connection_for_read().transport_cls}, result backend: {type(app.backend).__name__}"
    yield f"- Settings: {_settings(app)}"


def _settings(app: Celery) -> str:
    """Return the settings of a project. An app that was made of URLs has Celery's defaults, which say nothing of it."""
    said = ", ".join(f"`{name}`={app.conf.get(name)}" for name in _SETTINGS)
    # What `celery -b` uses and the dashboard has without -A. It is configured where it found a module of settings.
    if isinstance(app.loader, DefaultLoader) and not app.loader.configured:
        return "not known, as this was written without the project's code"
    return said


def _anonymous(text: str, sighting: Sighting) -> str:
    """Replace workers' names, which hold hosts, by numbers."""
    hosts = {
        place.name for place in sighting.places.values() if place.kind in ("active", "reserved", "scheduled")
    }
    hosts |= set(_HOSTS.findall(text))
    for number, host in enumerate(sorted((h for h in hosts if h), key=len, reverse=True), start=1):
        text = text.replace(_escaped(plain(host)), f"worker-{number}").replace(host, f"worker-{number}")
    return text


#: `name@host`, whose characters `_escaped` may have put a backslash before.
_HOSTS = re.compile(r"(?:\\?[\w.+-])+\\?@(?:\\?[\w.-])*\\?\w")


def _escaped(text: str) -> str:
    """Return text as Markdown shows it literally."""
    return _SPECIAL.sub(r"\\\1", text)
