"""The Redis broker as kombu lays it out: queues with their priority lists, `unacked`, bindings.

All knowledge of these private keys is in this module; checked against kombu 5.4 to 5.7
(`kombu/transport/redis.py`). Reads only, through Celery's own connection, in bounded commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import redis
from celery import Celery

from chordwatch.errors import UnsupportedError
from chordwatch.evidence.budget import Budget, Gaps, chunk_length
from chordwatch.evidence.decode import as_bytes, decoded
from chordwatch.evidence.facts import Message, Queue, Server
from chordwatch.evidence.messages import MessageReader
from chordwatch.evidence.reachable import reading
from chordwatch.evidence.servers import read_server
from chordwatch.foreign import as_moment

TRANSPORTS = ("redis", "rediss", "sentinel", "redis+socket")
CONNECT_SECONDS = 5.0
SCAN_COUNT = 1000
CHUNK_MESSAGES = 500
#: The project's `priority_steps` may be others than ours, but kombu has no priorities beyond these.
PRIORITIES = range(10)
#: Queues of the workers' own talk (remote control, events) hold no tasks.
_CONTROL = (".pidbox", "celeryev")


class BrokerReader:
    """Reads one app's Redis broker. Not thread-safe; `close()` it.

    Raises:
        UnreachableError: (every method) the broker does not answer.
    """

    peeks = True

    def __init__(self, app: Celery) -> None:
        self._app = app
        # kombu waits for ever by default: right for a worker, wrong for a reader.
        patience = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": CONNECT_SECONDS}
        options = {**patience, **(app.conf.broker_transport_options or {})}
        self._connection: Any = app.connection_for_read(transport_options=options)
        with self._reading():
            self._channel: Any = self._connection.channel()
            # kombu's own client prefixes some commands and not others; a plain one on its pool prefixes none.
            self._client: Any = redis.Redis(connection_pool=self._channel.pool)
        self._prefix = as_bytes(self._channel.global_keyprefix or "")
        self._cursor = 0
        self._bound: set[str] = set()
        self._bound_all = False

    @staticmethod
    def can_read(app: Celery) -> bool:
        """Whether the app's broker is one that this class reads.

        Raises:
            UnsupportedError: nobody can make anything of its URL.
        """
        return transport_of(app) in TRANSPORTS

    @property
    def url(self) -> str:
        """Where the broker is, without its password."""
        return str(self._connection.as_uri(include_password=False))

    def close(self) -> None:
        """Give the connection back."""
        self._connection.release()

    def info(self, gaps: Gaps) -> Server:
        """Return what its Redis says of itself; where it refuses, `gaps` says so."""
        with self._reading():
            return read_server(self._client, "broker", self.url, gaps)

    def queue_names(self, consumed: Iterable[str], budget: Budget) -> tuple[str, ...]:
        """Return the queues that are configured, consumed or bound, also those that nobody consumes.

        Bound ones are found by SCAN, which goes on where the last call's budget ended.
        """
        pattern = self._key("_kombu.binding.") + b"*"
        while True:
            with self._reading():
                cursor, keys = self._client.scan(self._cursor, match=pattern, count=SCAN_COUNT)
                self._cursor = int(cursor)
                self._bound |= set(self._bound_queues(keys))
            self._bound_all = self._bound_all or not self._cursor
            if not self._cursor or budget.spent:
                break
        names = {*self._app.amqp.queues, *consumed, *self._bound}
        return tuple(sorted(name for name in names if not any(mark in name for mark in _CONTROL)))

    def queues(self, names: Iterable[str], unacked: dict[str, int]) -> tuple[Queue, ...]:
        """Return the queues with their lengths, all priorities summed."""
        wanted = list(names)
        lists = [self._lists(name) for name in wanted]
        pipe = self._client.pipeline(transaction=False)
        for key in (key for keys in lists for key in keys):
            pipe.llen(key)
        with self._reading():
            lengths = iter(pipe.execute(raise_on_error=False))
        totals = [sum(n for n in (next(lengths) for _ in keys) if isinstance(n, int)) for keys in lists]
        return tuple(
            Queue(name=name, length=total, unacked=unacked.get(name, 0))
            for name, total in zip(wanted, totals, strict=True)
        )

    def messages(
        self, names: Iterable[str], reader: MessageReader, budget: Budget, gaps: Gaps
    ) -> Iterator[Message]:
        """Yield the task messages that wait in the queues, each queue's oldest first."""
        if not self._bound_all:
            gaps.note("Time ran out before all queues of the broker were found.", partial=True)
        for name in names:
            with self._reading(), self._permitted(f"queue {name!r}", gaps):
                for key in self._lists(name):
                    yield from self._queued(name, key, reader, budget, gaps)

    def unacked(self, reader: MessageReader, budget: Budget, gaps: Gaps) -> Iterator[Message]:
        """Yield the messages that were delivered and not yet acknowledged, with the time of delivery."""
        with self._reading(), self._permitted("the unacknowledged messages", gaps):
            yield from self._unacked(reader, budget, gaps)

    def _unacked(self, reader: MessageReader, budget: Budget, gaps: Gaps) -> Iterator[Message]:
        key, index = self._key(self._channel.unacked_key), self._key(self._channel.unacked_index_key)
        queue_of = self._queue_of()
        pipe = self._client.pipeline(transaction=False)
        length, size = _allowed(pipe.hlen(key).memory_usage(key).execute(raise_on_error=False))
        if not isinstance(length, int):
            gaps.skip("key `unacked` of a foreign type")
            return
        step = chunk_length(length, size if isinstance(size, int) else None, CHUNK_MESSAGES)
        cursor = 0
        while True:
            cursor, entries = self._client.hscan(key, cursor, count=step)
            pipe = self._client.pipeline(transaction=False)
            for tag in entries:
                pipe.zscore(index, tag)
            times = pipe.execute(raise_on_error=False) if entries else []
            for raw, delivered in zip(entries.values(), times, strict=True):
                message = reader.read_unacked(as_bytes(raw), queue_of, as_moment(delivered))
                if message:
                    yield message
            if not int(cursor):
                return
            if budget.spent:
                gaps.note("Time ran out before all unacknowledged messages were read.", partial=True)
                return

    def _queued(
        self, name: str, key: bytes, reader: MessageReader, budget: Budget, gaps: Gaps
    ) -> Iterator[Message]:
        """Yield from the right end, where BRPOP takes; a message that moves meanwhile may show twice or not."""
        pipe = self._client.pipeline(transaction=False)
        length, size = _allowed(pipe.llen(key).memory_usage(key).execute(raise_on_error=False))
        total = length if isinstance(length, int) else 0
        step = chunk_length(total, size if isinstance(size, int) else None, CHUNK_MESSAGES)
        for start in range(0, total, step):
            if budget.spent:
                gaps.note(
                    f"Time ran out after {start:,} of {total:,} messages in queue {name!r}.", partial=True
                )
                return
            chunk = self._client.lrange(key, -start - step, -start - 1)
            for raw in reversed(chunk):
                message = reader.read(as_bytes(raw), name)
                if message:
                    yield message

    @contextmanager
    def _permitted(self, what: str, gaps: Gaps) -> Iterator[None]:
        """Read what the user may; nothing is said of what may lie where that is refused."""
        try:
            yield
        except redis.exceptions.NoPermissionError as exc:
            gaps.note(f"The broker at {self.url} refuses to let {what} be read: {exc}.", partial=True)

    def _queue_of(self) -> Callable[[str], str]:
        """Return the map from a routing key to the queue it leads to, itself where none is configured."""
        routes = {queue.routing_key: name for name, queue in self._app.amqp.queues.items()}
        return lambda routing_key: routes.get(routing_key, routing_key)

    def _bound_queues(self, keys: list[bytes]) -> Iterator[str]:
        """Yield the queue names in binding sets, whose members are routing key, pattern, queue."""
        pipe = self._client.pipeline(transaction=False)
        for key in keys:
            pipe.sscan(key, count=SCAN_COUNT)
        for answer in pipe.execute(raise_on_error=False) if keys else []:
            members = answer[1] if isinstance(answer, tuple) else []
            for member in members:
                queue = decoded(as_bytes(member)).rpartition(self._channel.sep)[2]
                if queue:
                    yield queue

    def _lists(self, queue: str) -> tuple[bytes, ...]:
        """Return the lists of a queue, one per priority step, the first consumed first."""
        steps = sorted({*PRIORITIES, *self._channel.priority_steps})
        return tuple(self._key(f"{queue}{self._channel.sep}{step}" if step else queue) for step in steps)

    def _key(self, name: str) -> bytes:
        return self._prefix + name.encode("utf-8", "surrogateescape")

    def _reading(self) -> AbstractContextManager[None]:
        return reading("broker", self.url)


def transport_of(app: Celery, *, writing: bool = False) -> str:
    """Return the name of kombu's transport for the app's broker, as its URL has it. Opens no connection.

    A broker may have a URL of its own for `writing` (`broker_write_url`).

    Raises:
        UnsupportedError: its URL cannot be read, or names no transport that can be loaded.
    """
    # What kombu says of a URL that it cannot read may quote a part of a password.
    try:
        connection = app.connection_for_write() if writing else app.connection_for_read()
        return str(connection.transport_cls)
    except KeyError as exc:
        raise UnsupportedError(
            "The broker's URL begins with no transport that is known; give one such as redis:// or amqp:// "
            "with -b or -A."
        ) from exc
    except ValueError as exc:
        raise UnsupportedError(
            "The broker's URL cannot be read: it must begin as redis:// or amqp:// do, its port must be a number up to "
            "65535, and a password must have / @ : and # percent-encoded; give the right one with -b or -A."
        ) from exc
    except Exception as exc:  # every transport imports what it needs
        raise UnsupportedError(
            f"The broker's transport cannot be loaded ({type(exc).__name__}); install what it needs, or give another "
            "broker with -b or -A."
        ) from exc


def _allowed(answers: list[Any]) -> list[Any]:
    """Return a length and the bytes it takes; a server may refuse to tell the bytes."""
    if isinstance(answers[0], redis.exceptions.NoPermissionError):
        raise answers[0]
    return answers
