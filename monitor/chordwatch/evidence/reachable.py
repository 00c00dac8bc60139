"""Turns what redis-py and kombu raise into one sentence that names the server without its password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from kombu.exceptions import OperationalError

from chordwatch.errors import ServerName, UnreachableError


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
    except (redis.exceptions.RedisError, OperationalError, OSError) as exc:
        raise UnreachableError(
            f"The {what} at {url} does not answer ({type(exc).__name__}); check that it runs there and the URL.",
            server=what,
        ) from exc
