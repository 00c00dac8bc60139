"""Which reader suits an installation's broker and result backend, and what every one of them can do."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from celery import Celery
from celery.backends.base import KeyValueStoreBackend
from celery.backends.redis import RedisBackend

from chordwatch.errors import UnsupportedError
from chordwatch.evidence.amqp import AmqpReader
from chordwatch.evidence.backend import BackendReader, Met
from chordwatch.evidence.broker import BrokerReader
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.facts import ChordKeys, Message, Queue, Server, TaskMeta, Unlock
from chordwatch.evidence.messages import MessageReader
from chordwatch.evidence.polling import KeyValueReader, SqlReader, UnreadBackend

#: Whose backend it is, is asked without importing what most projects do not have.
_DJANGO, _SQL = "django_celery_results.backends.database", "celery.backends.database"


class Broker(Protocol):
    """A broker as one look reads it. Every method may raise `UnreachableError`."""

    @property
    def url(self) -> str:
        """Where the broker is, without its password."""

    @property
    def peeks(self) -> bool:
        """Whether it says which messages wait, and which are delivered and not acknowledged."""

    def close(self) -> None:
        """Give the connection back."""

    def info(self, gaps: Gaps) -> Server:
        """Return what the server says of itself."""

    def queue_names(self, consumed: Iterable[str], budget: Budget) -> tuple[str, ...]:
        """Return the queues that there are, as far as they can be found."""

    def queues(self, names: Iterable[str], unacked: dict[str, int]) -> tuple[Queue, ...]:
        """Return the queues with their lengths; with consumers only where the broker itself counts them."""

    def messages(
        self, names: Iterable[str], reader: MessageReader, budget: Budget, gaps: Gaps
    ) -> Iterator[Message]:
        """Yield the task messages that wait in the queues."""

    def unacked(self, reader: MessageReader, budget: Budget, gaps: Gaps) -> Iterator[Message]:
        """Yield the messages that were delivered and not yet acknowledged."""


class Backend(Protocol):
    """A result backend as one look reads it. Every method may raise `UnreachableError`."""

    @property
    def url(self) -> str:
        """Where the backend is, without its password."""

    @property
    def pinged(self) -> bool:
        """Whether `ping` asks it: others are read only when a look needs one of their results."""

    def ping(self) -> None:
        """Return when it answers."""

    def info(self, gaps: Gaps) -> Server:
        """Return what the server says of itself."""

    def told(self, unlocks: Mapping[str, Unlock], gaps: Gaps) -> None:
        """Learn which chords this look's messages poll, by group id; say what cannot be read here."""

    def absent(self, chord_id: str) -> ChordKeys:
        """Return what the backend says of a chord of which it has nothing."""

    def scan_chords(self, cursor: int, budget: Budget) -> Met:
        """Return the group ids that were met from `cursor` on."""

    def inner_groups(self, group_ids: Iterable[str], budget: Budget, gaps: Gaps) -> set[str]:
        """Return the ids of the groups inside the saved GroupResults of `group_ids`."""

    def scan_metas(self, cursor: int, budget: Budget, gaps: Gaps) -> tuple[list[TaskMeta], int]:
        """Return task results that were met from `cursor` on, and where to go on (0: all seen)."""

    def read_chords(self, chord_ids: Iterable[str], budget: Budget, gaps: Gaps) -> dict[str, ChordKeys]:
        """Return what there is of those of `chord_ids` of which there is anything."""

    def read_metas(self, task_ids: Iterable[str], gaps: Gaps) -> dict[str, TaskMeta]:
        """Return the stored results of `task_ids`, without the results themselves."""

    def read_results(self, chord_id: str, budget: Budget, gaps: Gaps) -> list[dict[str, Any]]:
        """Return the counted parts with their results, in header order: index, task_id, state, result."""

    def read_result(self, task_id: str, gaps: Gaps) -> object:
        """Return the stored result value of one task, None when there is none or it cannot be read."""


def broker_reader(app: Celery) -> Broker | None:
    """Return the reader for the app's broker, None where there is none."""
    if BrokerReader.can_read(app):
        return BrokerReader(app)
    return AmqpReader(app) if AmqpReader.can_read(app) else None


def backend_reader(app: Celery) -> Backend:
    """Return the reader for the app's result backend.

    Raises:
        UnsupportedError: the result backend cannot be loaded.
    """
    try:
        backend: Any = app.backend
    except Exception as exc:  # a backend may connect when it is made, and each raises its own kinds
        raise UnsupportedError(
            f"The result backend cannot be loaded ({type(exc).__name__}); "
            "give the right one with -A or --result-backend."
        ) from exc
    if isinstance(backend, RedisBackend):
        return BackendReader(app)
    if _is_of(backend, _DJANGO):
        from chordwatch.evidence.django_results import DjangoReader  # noqa: PLC0415  # imports Django's models

        return DjangoReader(backend)
    if _is_of(backend, _SQL):
        return SqlReader(backend)
    if isinstance(backend, KeyValueStoreBackend) and not backend.implements_incr:
        return KeyValueReader(backend)
    return UnreadBackend(backend)


def _is_of(backend: object, module: str) -> bool:
    """Whether the backend's class is the `DatabaseBackend` of a module, or derives from it."""
    kind = getattr(sys.modules.get(module), "DatabaseBackend", None)
    return kind is not None and isinstance(backend, kind)
