"""Turns what redis-py and kombu raise into one sentence that names the server without its password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from kombu.exceptions import OperationalError

from chordwatch.errors import ServerName, UnreachableError
from chordwatch.text import plain

#: An old Redis quotes the arguments of a command that it does not know: those of HELLO and AUTH are the password.
_ARGUMENTS = ", with args"


@contextmanager
def reading(what: ServerName, url: str) -> Iterator[None]:
    """Run a block of reads from `what` at `url`, which holds no password.

    Raises:
        UnreachableError: it does not answer, or refuses a command.
    """
    try:
        yield
    except redis.exceptions.AuthenticationError as exc:
        raise UnreachableError(
            f"The {what} at {url} refuses the login; check user and password in its URL.", server=what
        ) from exc
    except redis.exceptions.NoPermissionError as exc:
        raise UnreachableError(
            f"The {what} at {url} refuses a command that reading needs: {exc}.", server=what
        ) from exc
    except redis.exceptions.ResponseError as exc:
        raise UnreachableError(
            f'The {what} at {url} answers "{said(exc)}"; check its URL and how that server is configured.',
            server=what,
        ) from exc
    except (redis.exceptions.RedisError, OperationalError, OSError) as exc:
        raise UnreachableError(
            f"The {what} at {url} does not answer ({type(exc).__name__}); check that it runs there and the URL.",
            server=what,
        ) from exc


def said(exc: redis.exceptions.ResponseError) -> str:
    """Return what a Redis answered instead of a result, on one line, without a command's arguments."""
    return plain(str(exc).partition(_ARGUMENTS)[0].rstrip("."), 200)
