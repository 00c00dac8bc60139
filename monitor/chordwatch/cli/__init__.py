"""`celery -A proj chords …`: a click group that imports a command only when it is used.

Celery loads its plugins for every `celery` command, workers included, so this module imports click alone.
Errors of chordwatch become a sentence on stderr and an exit code: 2 usage, 3 unreachable, 74 output not written.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from contextlib import suppress

import click

#: Command name to module; each module holds a click command called `command`.
_COMMANDS = {
    "list": "list_chords",
    "show": "show",
    "explain": "explain",
    "check": "check",
    "results": "results",
    "report": "report",
    "watch": "watch",
    "monitor": "monitor",
    "doctor": "doctor",
    "dashboard": "dashboard",
    "rules": "rules",
    "config": "config",
}
UNREACHABLE = 3
USAGE = 2
#: As sysexits.h numbers an input/output error: 1 would say that a chord hangs.
UNWRITTEN = 74
#: What the place says to which stdout leads. A pipe whose reader has gone is none: click ends quietly then.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class LazyGroup(click.Group):
    """A group whose commands are imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names in the order of the contract."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as above
        """Import and return the command; None when there is no such one."""
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(f"chordwatch.cli.{module}").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; no traceback of a foreseen error reaches the user."""
        from chordwatch.errors import ChordwatchError, SettingError  # noqa: PLC0415  # see the module docstring

        try:
            return super().invoke(ctx)
        except SettingError as exc:
            click.echo(str(exc), err=True)
            ctx.exit(USAGE)
        except ChordwatchError as exc:
            click.echo(str(exc), err=True)
            ctx.exit(UNREACHABLE)
        except OSError as exc:
            if exc.errno not in _FULL:
                raise
            _drop_output()
            click.echo(
                f"The output cannot be written ({exc.strerror}); send it to a place with room for it.",
                err=True,
            )
            ctx.exit(UNWRITTEN)


def _drop_output() -> None:
    """Let what is still buffered for stdout go nowhere, or Python would fail to write it once more at its end."""
    with suppress(OSError, ValueError):  # a stdout without a file
        ours, nowhere = sys.stdout.fileno(), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, ours)
        os.close(nowhere)


@click.group("chords", cls=LazyGroup)
def chords() -> None:
    """Which chords are open, how far are they, and what do they wait for?

    Options of Celery itself (-A, -b, --result-backend) go before the word chords.
    """
