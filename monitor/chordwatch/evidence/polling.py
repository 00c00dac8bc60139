"""Result backends that do not count: `celery.chord_unlock` polls the header's results until all are there.

What such a chord is stands in the arguments of that task's message, which the broker tells; the results tell which
are there. Files and other key-value stores, and SQL databases, are read; checked against Celery 5.4 to 5.7
(`celery/backends/base.py`, `celery/backends/database`, `celery/app/builtins.py`). Nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, ClassVar

from celery.backends.base import DisabledBackend

from chordwatch.errors import UnreachableError
from chordwatch.evidence import backend_metas
from chordwatch.evidence.backend import Met
from chordwatch.evidence.backend_parts import STATES
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.decode import MAX_BYTES, as_bytes
from chordwatch.evidence.facts import ChordKeys, Counting, Part, Server, TaskMeta, Unlock
from chordwatch.foreign import as_text
from chordwatch.model import ERROR_LENGTH, TaskState

BATCH = 200
_POLLED = "does not count parts: of chords that nobody recorded only those are known whose messages wait."
NO_BACKEND = "No result backend is configured; give the workers' one with --result-backend or -A"
_FRAMES = "Traceback (most recent call last)"
READY: frozenset[TaskState] = frozenset({"succeeded", "failed", "revoked"})


class UnreadBackend:
    """A result backend of which nothing can be read: chords are known by messages and records alone."""

    pinged: ClassVar[bool] = False
    counting: ClassVar[Counting] = "unread"
    #: What of it is read and what is not, after the backend's name.
    _says: ClassVar[str] = "is none that can be read; chords are known by messages and records alone."

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._unlocks: Mapping[str, Unlock] = {}

    @property
    def url(self) -> str:
        """Where the backend is, without its password."""
        return str(self._backend.as_uri(include_password=False))

    def ping(self) -> None:
        """Return when it answers."""

    def info(self, _: Gaps) -> Server:
        """Return nothing: it is no Redis."""
        return Server()

    def told(self, unlocks: Mapping[str, Unlock], gaps: Gaps) -> None:
        """Learn which chords this look's messages poll, by group id; say what cannot be read here."""
        self._unlocks = unlocks
        gaps.note(
            f"{NO_BACKEND}: without it chords are known by messages and records alone."
            if is_none(self._backend)
            else f"The result backend ({type(self._backend).__name__}) {self._says}"
        )

    def absent(self, chord_id: str) -> ChordKeys:
        """Return what the backend says of a chord of which it has nothing."""
        return ChordKeys(chord_id=chord_id, counting=self.counting)

    def scan_chords(self, _: int, __: Budget) -> Met:
        """Return nothing: there is no key of a chord."""
        return Met(chord_ids=set(), group_ids=set(), cursor=0)

    def inner_groups(self, _: Iterable[str], __: Budget, ___: Gaps) -> set[str]:
        """Return nothing: no key of an inner group is mistaken for a chord's."""
        return set()

    def scan_metas(self, _: int, __: Budget, ___: Gaps) -> tuple[list[TaskMeta], int]:
        """Return nothing: results are not listed."""
        return [], 0

    def read_chords(self, chord_ids: Iterable[str], budget: Budget, gaps: Gaps) -> dict[str, ChordKeys]:
        """Return what messages and results tell of those of `chord_ids` that are polled."""
        found: dict[str, ChordKeys] = {}
        polled = [chord_id for chord_id in dict.fromkeys(chord_ids) if chord_id in self._unlocks]
        for at, chord_id in enumerate(polled):
            if budget.spent:
                gaps.leave_out(polled[at:], at)
                break
            unlock = self._unlocks[chord_id]
            parts = tuple(ready_parts(unlock.header, self.read_metas(unlock.header, gaps)))
            found[chord_id] = ChordKeys(
                chord_id=chord_id,
                size=len(unlock.header) or None,
                counted=len(parts),
                parts=parts,
                counting=self.counting,
                header=unlock.header,
                unlock=unlock,
            )
        return found

    def read_metas(self, task_ids: Iterable[str], gaps: Gaps) -> dict[str, TaskMeta]:  # noqa: ARG002  # as others
        """Return nothing: no result is read."""
        return {}

    def read_results(self, chord_id: str, budget: Budget, gaps: Gaps) -> list[dict[str, Any]]:
        """Return the parts that have a result, in header order: index, task_id, state, result."""
        keys = self.read_chords([chord_id], budget, gaps).get(chord_id)
        return results_of(keys, lambda task_id: self.read_result(task_id, gaps))

    def read_result(self, task_id: str, gaps: Gaps) -> object:  # noqa: ARG002  # as others
        """Return nothing: no result is read."""
        return None


class KeyValueReader(UnreadBackend):
    """Results in files or in another key-value store, one key each."""

    counting: ClassVar[Counting] = "polling"
    _says: ClassVar[str] = _POLLED

    def read_metas(self, task_ids: Iterable[str], gaps: Gaps) -> dict[str, TaskMeta]:
        """Return the stored results of `task_ids`, without the results themselves."""
        metas = {id_: backend_metas.parse(id_, self._payload(id_), gaps) for id_ in dict.fromkeys(task_ids)}
        return {task_id: meta for task_id, meta in metas.items() if meta}

    def read_result(self, task_id: str, gaps: Gaps) -> object:
        """Return the stored result value of one task, None when there is none or it cannot be read."""
        return backend_metas.result_of(self._payload(task_id), gaps)

    def _payload(self, task_id: str) -> backend_metas.Payload | None:
        with answering(self._backend):
            stored = self._backend.get(self._backend.get_key_for_task(task_id)) if task_id else None
        if not isinstance(stored, bytes | str) or not stored or len(stored) > MAX_BYTES:
            return None
        return backend_metas.Payload(as_bytes(stored))


class SqlReader(UnreadBackend):
    """Results in a database through SQLAlchemy. Values are left alone: up to Celery 5.6 they are pickled columns."""

    pinged: ClassVar[bool] = True
    counting: ClassVar[Counting] = "polling"
    _says: ClassVar[str] = _POLLED

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self._has_results = False

    def ping(self) -> None:
        """Return when it answers; before the first result there may be no table."""
        table = self._backend.task_cls.__table__
        with answering(self._backend):
            engine, _ = self._opened()
            with engine.connect() as connection:
                self._has_results = engine.dialect.has_table(connection, table.name, schema=table.schema)

    def read_metas(self, task_ids: Iterable[str], gaps: Gaps) -> dict[str, TaskMeta]:  # noqa: ARG002  # as others
        """Return the stored results of `task_ids`, without the results themselves."""
        wanted = [id_ for id_ in dict.fromkeys(task_ids) if id_ and self._has_results]
        batches = (wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH))
        metas = (_meta_of(row) for batch in batches for row in self._rows(batch))
        return {meta.task_id: meta for meta in metas}

    def _rows(self, task_ids: list[str]) -> list[Mapping[str, Any]]:
        table = self._backend.task_cls
        names = ["task_id", "status", "date_done", "traceback"]
        if self._backend.extended_result:
            names += ["name", "worker", "retries", "queue"]
        columns = [getattr(table, name) for name in names]
        with answering(self._backend):
            _, new_session = self._opened()
            session = new_session()
            try:
                rows = session.query(*columns).filter(table.task_id.in_(task_ids)).all()
            finally:
                session.close()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _opened(self) -> tuple[Any, Any]:
        """Return engine and maker of sessions; Celery's own `ResultSession` would create tables besides."""
        opened: tuple[Any, Any] = self._backend.session_manager.create_session(
            self._backend.url,
            short_lived_sessions=self._backend.short_lived_sessions,
            **self._backend.engine_options,
        )
        return opened


def is_none(backend: object) -> bool:
    """Whether it stands for no result backend at all, as Celery has it where none is configured."""
    return isinstance(backend, DisabledBackend)


def ready_parts(header: Iterable[str], metas: Mapping[str, TaskMeta]) -> Iterator[Part]:
    """Yield the parts that have their final result, as Celery's `ready()` sees it."""
    for index, task_id in enumerate(header):
        meta = metas.get(task_id)
        if meta and meta.state in READY:
            yield Part(
                index=index,
                task_id=task_id,
                state=meta.state,
                error_type=meta.error_type,
                error=meta.error,
            )


def results_of(keys: ChordKeys | None, result: Callable[[str], object]) -> list[dict[str, Any]]:
    """Return a chord's parts with their results, which `result` reads by task id."""
    return [
        {
            "index": part.index,
            "task_id": part.task_id,
            "state": part.state,
            "result": result(part.task_id),
        }
        for part in (keys.parts if keys else ())
    ]


def _meta_of(row: Mapping[str, Any]) -> TaskMeta:
    state = STATES.get(row["status"], "started")
    text = error_line(row["traceback"]) if state in ("failed", "retrying", "revoked") else None
    return TaskMeta(
        task_id=row["task_id"],
        state=state,
        error_type=text.partition(":")[0].rpartition(".")[2] if text else None,
        error=text,
        finished_at=_moment(row["date_done"]) if state in READY else None,
        name=as_text(row.get("name")),
        worker=as_text(row.get("worker")),
        attempt=row.get("retries"),
        queue=as_text(row.get("queue")),
    )


def error_line(traceback: object) -> str | None:
    """Return the line of a stored traceback that names the error, cut to `ERROR_LENGTH`; None where there is none.

    It is the first after the frames: an error's text may have more lines, and these name nothing.
    """
    lines = (as_text(traceback) or "").strip().splitlines()
    begun = max((at for at, line in enumerate(lines) if line.startswith(_FRAMES)), default=len(lines))
    after = (line for line in lines[begun + 1 :] if line and not line.startswith(" "))
    line = next(after, lines[-1] if lines else None)
    return line and line[:ERROR_LENGTH]


def _moment(value: object) -> float | None:
    if not isinstance(value, datetime):
        return None
    return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()


@contextmanager
def answering(backend: Any) -> Iterator[None]:
    """Run a block of reads from a backend of any kind.

    Raises:
        UnreachableError: it does not answer.
    """
    try:
        yield
    except Exception as exc:  # every driver raises its own kinds
        raise UnreachableError(
            f"The result backend at {backend.as_uri(include_password=False)} does not answer "
            f"({type(exc).__name__}); check that it runs there and the URL.",
            server="result backend",
        ) from exc
