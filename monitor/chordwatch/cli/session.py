"""What every command needs: the Celery app, a Watch on it, and a way to print. Runs in the terminal's process."""

from __future__ import annotations

import json
import math
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NoReturn

import click
from celery import Celery
from rich.console import Console, RenderableType

from chordwatch.cli import UNREACHABLE
from chordwatch.evidence.broker import transport_of
from chordwatch.evidence.patience import impatient
from chordwatch.text import plain
from chordwatch.watch import DEFAULT_LIMIT, HEALTH_FILTERS, Sighting, Watch

_PIPE_WIDTH = 200
#: As the catalogue of causes writes commands.
_ANY_APP = "celery -A proj "
#: So deep is a result shown that JSON cannot hold as it is.
_DEPTH = 100

format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    help="For people or programs.",
)
health_option = click.option(
    "--health",
    type=click.Choice(list(HEALTH_FILTERS)),
    default="all",
    show_default=True,
    help="Only chords of this health; open means all that are not finished.",
)
callback_option = click.option(
    "--callback", metavar="NAME", help="Only chords with this callback (task name)."
)
limit_option = click.option(
    "--limit", type=click.IntRange(min=1), default=DEFAULT_LIMIT, show_default=True, help="At most so many."
)


def app_of(ctx: click.Context) -> Celery:
    """Return the app that `celery -A` or `-b` named, with bounded connection timeouts.

    Raises:
        UnsupportedError: nobody can make anything of its broker's URL.
    """
    app = impatient(ctx.obj.app)
    transport_of(app)  # said at once by every command, before a server listens or a page is drawn
    return app


def for_app(ctx: click.Context, sighting: Sighting) -> Sighting:
    """Return the sighting with the app that `celery -A` named in what its verdicts say to run, to be pasted.

    Where URLs stand for an app it stays `proj`: they hold passwords.
    """
    app = ctx.find_root().params.get("app")
    if not isinstance(app, str):
        return sighting
    named = f"celery -A {shlex.quote(app)} "
    verdicts = tuple(
        replace(
            verdict,
            remedy=verdict.remedy.replace(_ANY_APP, named),
            question=verdict.question and verdict.question.replace(_ANY_APP, named),
        )
        for verdict in sighting.chord.verdicts
    )
    return replace(sighting, chord=replace(sighting.chord, verdicts=verdicts))


@contextmanager
def watching(ctx: click.Context) -> Iterator[Watch]:
    """Open a Watch on the command's app and close it."""
    watch = Watch(app_of(ctx))
    try:
        yield watch
    finally:
        watch.close()


def listening(host: str, port: int) -> socket.socket:
    """Return a listening socket, so that a taken port is a sentence and port 0 a known one.

    Raises:
        UsageError: nobody can listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, reuse_port=False)
    except OSError as exc:
        raise click.UsageError(
            f"Cannot listen on {host}:{port} ({exc.strerror}); choose another --host or --port."
        ) from exc


def console(ctx: click.Context) -> Console:
    """Return where tables go: stdout, with colours when it is a terminal and they are wanted."""
    return Console(no_color=True if ctx.obj.no_color else None, highlight=False, soft_wrap=False)


def print_table(ctx: click.Context, table: RenderableType) -> None:
    """Print to stdout: fitted to a terminal, in full width to anything else. What must not be broken is longer."""
    out = console(ctx)
    if not out.is_terminal:
        out.width = _PIPE_WIDTH
    out.print(table, crop=False)


def print_json(document: Any) -> None:
    """Print one JSON document to stdout; what cannot be encoded otherwise is escaped."""
    click.echo(json_text(document, indent=2))


def json_text(document: Any, *, indent: int | None = None, ascii_only: bool = True) -> str:
    """Return JSON, also of what msgpack knows and JSON does not: bytes, keys that are no text, NaN."""
    try:
        return json.dumps(document, indent=indent, ensure_ascii=ascii_only, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(_fit(document), indent=indent, ensure_ascii=ascii_only)


def _fit(value: Any, depth: int = 0) -> Any:
    """Return `value` as JSON can hold it; strange values become their Python text."""
    if depth > _DEPTH:
        return "…"
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): _fit(v, depth + 1) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_fit(item, depth + 1) for item in value]
    fits = (
        value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    )
    return value if fits else repr(value)


def finish(ctx: click.Context, watch: Watch, gaps: tuple[str, ...], code: int = 0) -> NoReturn:
    """Say what was not seen, and exit; where nothing else is to be told with 3 if the store did not answer."""
    print_gaps(gaps)
    ctx.exit(code or (UNREACHABLE if watch.store_away else 0))


def print_gaps(gaps: tuple[str, ...]) -> None:
    """Say on stderr what was not seen, so that stdout stays one document."""
    for sentence in gaps:
        click.echo(f"Note: {sentence}", err=True)


def found(
    ctx: click.Context, watch: Watch, wanted: str, seen: tuple[Sighting | None, tuple[str, ...]]
) -> tuple[Sighting, tuple[str, ...]]:
    """Return the chord that a Watch saw for an id, and what was not seen; without one exit 1 (3: the store is away)."""
    sighting, gaps = seen
    if sighting is None:
        print_gaps(gaps)
        _say_no_such_chord(wanted, gaps)
        ctx.exit(UNREACHABLE if watch.store_away else 1)
    return sighting, gaps


def _say_no_such_chord(wanted: str, gaps: tuple[str, ...]) -> None:
    late = ", or was not reached in the time (see above)" if gaps else ""
    click.echo(
        f"No chord found for {plain(wanted)}. It may be no chord's id; a callback's, which Redis does not name while "
        "header tasks run (try `list`); that of a chord that finished longer ago than results are kept; or of one in "
        f"another broker or backend{late}.",
        err=True,
    )
