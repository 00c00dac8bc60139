"""RabbitMQ over AMQP: how many messages wait in a queue and how many consumers it has; nobody can peek into it.

Asked by passive `queue_declare` through Celery's own connection, which creates nothing. Checked with RabbitMQ 3.10,
kombu 5.4 to 5.7 and py-amqp 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from amqp.exceptions import AccessRefused, AMQPError, NotAllowed, NotFound, ResourceLocked
from celery import Celery
from kombu.exceptions import OperationalError

from chordwatch.errors import UnreachableError
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.facts import Message, Queue, Server
from chordwatch.evidence.messages import MessageReader
from chordwatch.text import plain

TRANSPORTS = ("amqp", "amqps", "pyamqp")
ANSWER_SECONDS = 5.0
#: One answer takes about a millisecond; a project with more queues than this names the rest in its records.
MAX_QUEUES = 1000
#: Queues of the workers' own talk (remote control, events) hold no tasks.
_CONTROL = (".pidbox", "celeryev")
_BROKEN: tuple[type[BaseException], ...] = (OperationalError, OSError, AMQPError)


class AmqpReader:
    """Reads one app's RabbitMQ. Not thread-safe; `close()` it.

    Raises:
        UnreachableError: (every method) the broker does not answer.
    """

    #: It cannot say which messages wait, nor which are delivered and not acknowledged.
    peeks = False

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Any = None
        self._channel: Any = None

    @staticmethod
    def can_read(app: Celery) -> bool:
        """Whether the app's broker is one that this class reads."""
        return str(app.connection_for_read().transport_cls) in TRANSPORTS

    @property
    def url(self) -> str:
        """Where the broker is, without its password."""
        return str(self._app.connection_for_read().as_uri(include_password=False))

    def close(self) -> None:
        """Give the connection back."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection:
            connection.release()

    def info(self, _: Gaps) -> Server:
        """Return nothing: it is no Redis."""
        return Server()

    def queue_names(self, consumed: Iterable[str], _: Budget) -> tuple[str, ...]:
        """Return the queues that are configured or consumed: AMQP has no list of what there is."""
        names = {*self._app.amqp.queues, *configured_queues(self._app), *consumed}
        tasks = (name for name in sorted(names) if not any(mark in name for mark in _CONTROL))
        return tuple(tasks)[:MAX_QUEUES]

    def queues(self, names: Iterable[str], _: dict[str, int]) -> tuple[Queue, ...]:
        """Return those of the queues that exist, with the consumers that RabbitMQ itself counts."""
        found = (self._declared(name) for name in names)
        return tuple(queue for queue in found if queue)

    def messages(self, _: Iterable[str], __: MessageReader, ___: Budget, gaps: Gaps) -> Iterator[Message]:
        """Say what cannot be seen: which messages these are."""
        gaps.note(
            "RabbitMQ tells how many messages wait in a queue, not which; "
            "where tasks are is known from records and workers alone."
        )
        return iter(())

    def unacked(self, _: MessageReader, __: Budget, ___: Gaps) -> Iterator[Message]:
        """Return nothing: deliveries that are not acknowledged are RabbitMQ's secret."""
        return iter(())

    def _declared(self, name: str) -> Queue | None:
        try:
            try:
                answer = self._ask(name)
            except NotFound:
                return None
            except _BROKEN:
                self.close()  # the server may have been restarted since the last look
                answer = self._ask(name)
        except NotFound:
            return None
        except ResourceLocked:
            return None  # another connection's own: a reply queue
        except (AccessRefused, NotAllowed) as exc:
            raise UnreachableError(
                f"The broker at {self.url} refuses the login, or access to the queue {plain(name)}; "
                "check user, password, virtual host and permissions.",
                server="broker",
            ) from exc
        except _BROKEN as exc:
            self.close()
            raise UnreachableError(
                f"The broker at {self.url} does not answer ({type(exc).__name__}); "
                "check that it runs there and the URL.",
                server="broker",
            ) from exc
        return Queue(name=name, length=answer.message_count, unacked=0, consumers=answer.consumer_count)

    def _ask(self, name: str) -> Any:
        """Return RabbitMQ's answer; a refusal closes the channel, and only that."""
        if self._connection is None:
            self._connection = self._connect()
        if self._channel is None or not self._channel.is_open:
            self._channel = self._connection.channel()
        return self._channel.queue_declare(queue=name, passive=True)

    def _connect(self) -> Any:
        # Without heartbeats, as nobody drives them between two looks; kombu waits for ever by default.
        timeouts = {"read_timeout": ANSWER_SECONDS, "write_timeout": ANSWER_SECONDS}
        options = {**timeouts, **(self._app.conf.broker_transport_options or {})}
        return self._app.connection_for_read(
            heartbeat=0, connect_timeout=ANSWER_SECONDS, transport_options=options
        )


def configured_queues(app: Celery) -> set[str]:
    """Return the queues that the project names in `task_routes` and at its tasks: nobody may consume them yet."""
    routes = app.conf.task_routes or {}
    maps = [routes] if isinstance(routes, dict) else [route for route in routes if isinstance(route, dict)]
    targets = [target for each in maps for target in each.values()]
    named = [target.get("queue") if isinstance(target, dict) else target for target in targets]
    named += [getattr(task, "queue", None) for task in app.tasks.values()]
    return {str(getattr(queue, "name", queue)) for queue in named if queue}
