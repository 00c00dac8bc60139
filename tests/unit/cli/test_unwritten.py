"""An output that cannot be written is a sentence; a reader that has gone is left to click, which ends quietly."""

from __future__ import annotations

import errno
import os

import click
import pytest
from click.testing import CliRunner, Result

from chordwatch.cli import UNWRITTEN, LazyGroup


def failing(number: int) -> Result:
    """Return what becomes of a command that gets such an error when it prints."""

    class Group(LazyGroup):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:  # noqa: ARG002  # click's
            def command() -> None:
                raise OSError(number, os.strerror(number))

            return click.Command("list", callback=command)

    return CliRunner().invoke(Group("chords"), ["list"])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_a_full_place_is_a_sentence(number: int) -> None:
    done = failing(number)

    assert done.exit_code == UNWRITTEN
    assert done.output == (
        f"The output cannot be written ({os.strerror(number)}); send it to a place with room for it.\n"
    )


def test_a_reader_that_has_gone_is_quiet() -> None:
    assert (failing(errno.EPIPE).exit_code, failing(errno.EPIPE).output) == (1, "")


def test_other_errors_are_not_hidden() -> None:
    assert isinstance(failing(errno.ENOENT).exception, FileNotFoundError)
