"""`celery -A proj chords …`: a click group that imports a command only when it is used.

Celery loads its plugins for every `celery` command, workers included, so this module imports click alone.
Errors of chordwatch become a sentence on stderr and an exit code: 2 usage, 3 unreachable.
"""

from __future__ import annotations

import importlib

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


@click.group("chords", cls=LazyGroup)
def chords() -> None:
    """Which chords are open, how far are they, and what do they wait for?

    Options of Celery itself (-A, -b, --result-backend) go before the word chords.
    """
