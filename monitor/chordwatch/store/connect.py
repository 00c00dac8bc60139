"""Makes one redis-py client out of a Celery URL: Redis, TLS, a Unix socket, Sentinel, a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from chordwatch.errors import RefusedError, UnreachableError

#: Seconds that a command may take, and a connection to be made.
TIMEOUT_SECONDS = 5.0
_SENTINEL_PORT = 26379
#: What Redis says to a script while it cannot write, full or a replica as it is.
_PASSING = ("OOM", "NOPERM", "READONLY", "MISCONF", "NOREPLICAS", "MASTERDOWN")


def connect(
    url: str, *, client_name: str, options: Mapping[str, Any] | None = None, timeout: float = TIMEOUT_SECONDS
) -> redis.Redis:
    """Return a client with at most one connection, made at the first command.

    `options` are a transport's: `master_name`, `sentinel_kwargs`, `socket_timeout`, `ssl` (kombu's dict, or true),
    `credential_provider`. Several Sentinels are separated by semicolons, as kombu has it.
    """
    options = options or {}
    settings: dict[str, Any] = {
        "client_name": client_name,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": 1,
    }
    for name in ("socket_timeout", "socket_connect_timeout"):
        settings[name] = min(options.get(name) or timeout, timeout)
    if options.get("credential_provider"):
        settings["credential_provider"] = options["credential_provider"]
    if options.get("ssl"):
        settings |= {"ssl": True} if options["ssl"] is True else {"ssl": True, **options["ssl"]}
    if url.startswith("sentinel://"):
        return _through_sentinel(url, settings, options)
    if settings.pop("ssl", False) and url.startswith("redis://"):
        url = "rediss" + url.removeprefix("redis")
    pool = redis.BlockingConnectionPool.from_url(_for_redis_py(url), **settings)
    return redis.Redis.from_pool(pool)


def hang_up(client: redis.Redis) -> None:
    """Close a client's connections, also those that a forked child inherited, without a word to the server.

    In a child redis-py merely forgets them, under a lock that the parent's thread may have held, and their sockets
    stay open. A worker that was killed would then look connected for as long as one of its children lives.
    """
    for name in ("_connections", "_available_connections", "_in_use_connections"):  # of either kind of pool
        kept = getattr(client.connection_pool, name, None)
        for connection in list(kept or ()):
            connection.disconnect()
        if kept:
            kept.clear()  # of an empty pool nothing is locked
    client.close()


def _for_redis_py(url: str) -> str:
    """Return kombu's URL as redis-py spells it."""
    for kombu_scheme in ("redis+socket://", "socket://"):
        if url.startswith(kombu_scheme):
            return "unix://" + url[len(kombu_scheme) :].replace("virtual_host=", "db=")
    if url.startswith("rediss://"):
        for long, short in (
            ("CERT_REQUIRED", "required"),
            ("CERT_OPTIONAL", "optional"),
            ("CERT_NONE", "none"),
        ):
            url = url.replace(f"ssl_cert_reqs={long}", f"ssl_cert_reqs={short}")
    return url


def _through_sentinel(url: str, settings: dict[str, Any], options: Mapping[str, Any]) -> redis.Redis:
    parts = [urlsplit(part if "://" in part else f"sentinel://{part}") for part in url.split(";") if part]
    query = parse_qs(parts[-1].query)
    master = options.get("master_name") or query.get("master_name", [None])[0]
    database = next((p.path.strip("/") for p in parts if p.path.strip("/")), "0")
    credentials = {
        "username": next((unquote(p.username) for p in parts if p.username), None),
        "password": next((unquote(p.password) for p in parts if p.password), None),
    }
    sentinel: Any = redis.Sentinel(  # type: ignore[no-untyped-call]
        [(p.hostname or "localhost", p.port or _SENTINEL_PORT) for p in parts],
        sentinel_kwargs={"socket_timeout": TIMEOUT_SECONDS, **(options.get("sentinel_kwargs") or {})},
    )
    client: redis.Redis = sentinel.master_for(
        master or "mymaster", db=int(database) if database.isdigit() else 0, **credentials, **settings
    )
    return client


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Run a block of commands to the store at `url`, which holds no password.

    Raises:
        UnreachableError: it does not answer, or refuses a login or a command.
        RefusedError: among these, the user has no right to a command.
        ValueError: our script failed on what it was given.
    """
    try:
        yield
    except redis.exceptions.AuthenticationError as exc:
        raise UnreachableError(
            f"The store at {url} refuses the login; check user and password in its URL.", server="store"
        ) from exc
    except redis.exceptions.NoPermissionError as exc:
        raise RefusedError(
            f"The store at {url} refuses a command that it needs: {exc}.", server="store"
        ) from exc
    except redis.exceptions.ResponseError as exc:
        if "user_script" in str(exc) and not any(word in str(exc) for word in _PASSING):
            raise ValueError(f"The store's script failed: {exc}") from exc
        raise UnreachableError(f"The store at {url} refuses a command: {exc}.", server="store") from exc
    except (redis.exceptions.RedisError, OSError) as exc:
        raise UnreachableError(
            f"The store at {url} does not answer ({type(exc).__name__}); check that it runs there and the URL.",
            server="store",
        ) from exc


def replies_of(pipe: Any) -> list[Any]:
    """Return a pipeline's replies; for a key of a foreign type the error stands in its place."""
    found = cast("list[Any]", pipe.execute(raise_on_error=False))
    for reply in found:
        if isinstance(reply, Exception) and not str(reply).startswith("WRONGTYPE"):
            raise reply
    return found
