"""django-celery-results: each chord has a row `ChordCounter`, which names the whole header; results are rows, too.

Read through the project's own models, so its databases and routers hold. Checked with django-celery-results 2.6
(`backends/database.py`). Nothing is unpickled. Imported only where a project has that backend.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import DatabaseError, InterfaceError, close_old_connections, connections, router
from django.db.models.functions import Left, Length
from django_celery_results.models import ChordCounter

from chordwatch.errors import UnreachableError
from chordwatch.evidence.backend import Met
from chordwatch.evidence.backend_parts import STATES, error_of
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.decode import UndecodableError, load_json
from chordwatch.evidence.facts import ChordKeys, Part, Server, TaskMeta, Unlock
from chordwatch.evidence.polling import BATCH, READY, ready_parts, results_of
from chordwatch.evidence.result_tuples import launches, leaves
from chordwatch.foreign import as_dict, as_int, as_list, as_text

#: A header of 500,000 tasks takes so many characters.
_MAX_HEADER = 32 * 1024 * 1024
#: Rows that one query may fetch, and how much of a failure's result: its type and text stand at the beginning.
_ROWS, _HEAD = 1000, 64 * 1024
_COLUMNS = ("task_id", "status", "task_name", "worker", "date_done", "content_type")
#: In these states the result is the error, or who runs the task.
_TELLING = ("FAILURE", "RETRY", "REVOKED", "STARTED")


class DjangoReader:
    """Reads the result tables of one Django project. Not thread-safe.

    Raises:
        UnreachableError: (every method) the database does not answer.
    """

    pinged = True

    def __init__(self, backend: Any) -> None:
        self._tasks = backend.TaskModel._default_manager  # noqa: SLF001  # Django's name for it
        self._alias: str = router.db_for_read(ChordCounter)

    @property
    def url(self) -> str:
        """Where the backend is."""
        return f"the Django database {self._alias!r}"

    def ping(self) -> None:
        """Return when the database answers; a connection that has grown old is closed before."""
        close_old_connections()
        with self._reading():
            ChordCounter.objects.using(self._alias).exists()

    def info(self, _: Gaps) -> Server:
        """Return nothing: it is no Redis."""
        return Server()

    def told(self, _: Mapping[str, Unlock], gaps: Gaps) -> None:
        """Say what is not to be had: nobody polls here."""
        gaps.note(
            "django-celery-results keeps no link from a result to its chord: of chords that nobody recorded "
            "only those are known whose ChordCounter is there."
        )

    def absent(self, chord_id: str) -> ChordKeys:
        """Return what the tables say of a chord without a counter."""
        return ChordKeys(chord_id=chord_id, counting="counter")

    def scan_chords(self, cursor: int, budget: Budget) -> Met:
        """Return the group ids of the counters behind the row `cursor`."""
        found: set[str] = set()
        while True:
            with self._reading():
                rows = list(self._counters().filter(pk__gt=cursor).values_list("pk", "group_id")[:_ROWS])
            found |= {group_id for _, group_id in rows}
            if len(rows) < _ROWS:
                return Met(chord_ids=found, group_ids=set(), cursor=0)
            cursor = rows[-1][0]
            if budget.spent:
                return Met(chord_ids=found, group_ids=set(), cursor=cursor)

    def inner_groups(self, _: Iterable[str], __: Budget, ___: Gaps) -> set[str]:
        """Return nothing: only chords have counters."""
        return set()

    def scan_metas(self, _: int, __: Budget, ___: Gaps) -> tuple[list[TaskMeta], int]:
        """Return nothing: a result does not name its group."""
        return [], 0

    def read_chords(self, chord_ids: Iterable[str], budget: Budget, gaps: Gaps) -> dict[str, ChordKeys]:
        """Return the counters of those of `chord_ids` that have one."""
        wanted = list(dict.fromkeys(chord_ids))
        found: dict[str, ChordKeys] = {}
        for start in range(0, len(wanted), BATCH):
            if budget.spent:
                gaps.leave_out(wanted[start:], start)
                break
            with self._reading():
                counters = self._counters().filter(group_id__in=wanted[start : start + BATCH])
                sized = counters.annotate(length=Length("sub_tasks"))
                large = set(sized.filter(length__gt=_MAX_HEADER).values_list("group_id", flat=True))
                rows = list(
                    counters.exclude(group_id__in=large).values_list("group_id", "sub_tasks", "count")
                )
            for _ in large:
                gaps.skip("oversized ChordCounter")
            for group_id, sub_tasks, count in rows:
                found[group_id] = self._keys_of(group_id, sub_tasks, count, gaps)
        return found

    def read_metas(self, task_ids: Iterable[str], gaps: Gaps) -> dict[str, TaskMeta]:
        """Return the stored results of `task_ids`, without the results themselves."""
        wanted = [id_ for id_ in dict.fromkeys(task_ids) if id_]
        metas: dict[str, TaskMeta] = {}
        for start in range(0, len(wanted), BATCH):
            with self._reading():
                tasks = self._tasks.using(self._alias).filter(task_id__in=wanted[start : start + BATCH])
                rows = list(tasks.annotate(family=Left("meta", _HEAD)).values(*_COLUMNS, "family"))
                telling = tasks.filter(status__in=_TELLING).annotate(head=Left("result", _HEAD))
                results = dict(telling.values_list("task_id", "head"))
            for row in rows:
                metas[row["task_id"]] = _meta_of(row, results.get(row["task_id"]), gaps)
        return metas

    def read_results(self, chord_id: str, budget: Budget, gaps: Gaps) -> list[dict[str, Any]]:
        """Return the counted parts with their results, in header order: index, task_id, state, result."""
        keys = self.read_chords([chord_id], budget, gaps).get(chord_id)
        return results_of(keys, lambda task_id: self.read_result(task_id, gaps))

    def read_result(self, task_id: str, gaps: Gaps) -> object:
        """Return the stored result value of one task, None when there is none or it cannot be read."""
        with self._reading():
            tasks = self._tasks.using(self._alias).filter(task_id=task_id)
            row = tasks.values_list("content_type", "result").first()
        return _loaded(row[0], row[1], gaps) if row else None

    def _keys_of(self, group_id: str, sub_tasks: str, count: int, gaps: Gaps) -> ChordKeys:
        try:
            header = tuple(leaves(as_list(load_json(sub_tasks))))
        except UndecodableError:
            gaps.skip("damaged ChordCounter")
            header = ()
        counted = max(0, len(header) - count)
        metas = self.read_metas(header, gaps)
        ready = sorted(ready_parts(header, metas), key=lambda part: metas[part.task_id].finished_at or 0.0)
        # A part is counted after its result is stored; the row says how many are, not which.
        parts: tuple[Part, ...] = tuple(ready[:counted])
        return ChordKeys(
            chord_id=group_id,
            size=len(header) or None,
            counted=counted,
            parts=tuple(sorted(parts, key=lambda part: part.index or 0)),
            counting="counter",
            header=header,
            remaining=count,
        )

    def _counters(self) -> Any:
        return ChordCounter.objects.using(self._alias).order_by("pk")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (DatabaseError, InterfaceError) as exc:
            connections[self._alias].close()
            raise UnreachableError(
                f"The result backend ({self.url}) does not answer ({type(exc).__name__}); check the project's "
                "DATABASES, and that `migrate django_celery_results` was run.",
                server="result backend",
            ) from exc


def _meta_of(row: Mapping[str, Any], head: object, gaps: Gaps) -> TaskMeta:
    state = STATES.get(row["status"], "started")
    stored = as_dict(_loaded(row["content_type"], head, gaps)) if head else {}
    kind, text = error_of(stored) if state in ("failed", "retrying", "revoked") else (None, None)
    children = as_list(as_dict(_loaded(row["content_type"], row["family"], gaps)).get("children"))
    done = row["date_done"]
    return TaskMeta(
        task_id=row["task_id"],
        state=state,
        error_type=kind,
        error=text,
        finished_at=done.timestamp() if isinstance(done, datetime) and state in READY else None,
        name=as_text(row["task_name"]),
        worker=as_text(row["worker"]) or (as_text(stored.get("hostname")) if state == "started" else None),
        pid=as_int(stored.get("pid")) if state == "started" else None,
        children=tuple(leaves(children)),
        launches=tuple(launches(children)),
    )


def _loaded(content_type: str, stored: object, gaps: Gaps) -> Any:
    """Return a stored JSON value; None, counted, for pickles and anything else."""
    text = as_text(stored)
    if text is None:
        return None
    if content_type != "application/json":
        gaps.skip(f"result of content type {content_type}"[:80])
        return None
    try:
        return load_json(text)
    except UndecodableError:
        gaps.skip("damaged or cut result")
        return None
