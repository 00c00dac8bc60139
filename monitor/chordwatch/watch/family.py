"""Which stored results belong together: header tasks by their group id, callbacks by their descent. Pure.

Celery stores no link from a callback to its chord, but three facts give it away (Celery 5.4 to 5.7):
a callback's parent is the header task that finished last; that task's stored children do not name it, as they
are written before the callback is published; and a callback that ended in ChordError quotes a header task's id.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from chordwatch.evidence.facts import TaskMeta

_DEPENDENCY = re.compile(r"^ChordError: Dependency (\S+) raised ")
_NOT_RUN = "ChordError: "
#: So many failed results without a group are kept at the most.
MAX_STRAYS = 1000
#: Chains of parents are followed so far; a hostile one could be a ring.
_MAX_STEPS = 1000


def by_group(metas: Iterable[TaskMeta]) -> dict[str, dict[str, TaskMeta]]:
    """Return the results of each group id, by task id. A plain callback's result is among its header's."""
    groups: dict[str, dict[str, TaskMeta]] = defaultdict(dict)
    for meta in metas:
        if meta.group_id:
            groups[meta.group_id][meta.task_id] = meta
    return groups


def callbacks(metas: Mapping[str, TaskMeta], *, groupless: bool = False) -> dict[str, tuple[TaskMeta, ...]]:
    """Return the callback's results by group id, for the chords whose callback has any; a group has several."""
    found: dict[str, list[TaskMeta]] = defaultdict(list)
    for meta in metas.values():
        chord_id = chord_called_by(meta, metas, groupless=groupless)
        if chord_id:
            found[chord_id].append(meta)
    return {chord_id: tuple(members) for chord_id, members in found.items()}


def chord_called_by(meta: TaskMeta, metas: Mapping[str, TaskMeta], *, groupless: bool = False) -> str | None:
    """Return the group id of the chord whose callback `meta` is; None when it is none or `metas` do not tell.

    An errback descends from a header task as well, but from one that failed; a callback is published by one
    that succeeded. (Celery sends errbacks as groups of their own, or without a group.)
    With `groupless` a callback need not have a group id: Celery 5.4 and 5.5 give it none.
    """
    culprit_id = quoted_id(meta)
    if culprit_id:
        culprit = metas.get(culprit_id)
        return culprit.group_id if culprit else None
    if not meta.group_id and not groupless:
        return None
    task, steps = meta, 0
    while (parent := metas.get(task.parent_id or "")) and parent is not task and steps < _MAX_STEPS:
        if task.task_id not in parent.children:
            return parent.group_id if parent.state == "succeeded" else None
        task, steps = parent, steps + 1
    return None


def quoted_id(meta: TaskMeta) -> str | None:
    """Return the header task id that a ChordError quotes."""
    quoted = _DEPENDENCY.match(meta.error or "")
    return quoted[1] if quoted else None


def strays(metas: Iterable[TaskMeta]) -> tuple[TaskMeta, ...]:
    """Return the newest failed results that name no group and may be a chord's, the oldest first.

    Celery stores without its group a task that the worker does not know, and a callback that it never sent.
    """
    found = [meta for meta in metas if meta.group_id is None and meta.finished_at and _is_stray(meta)]
    return tuple(sorted(found, key=lambda meta: meta.finished_at or 0.0)[-MAX_STRAYS:])


def _is_stray(meta: TaskMeta) -> bool:
    not_run = (meta.error or "").startswith(_NOT_RUN)
    return meta.state == "failed" and (meta.error_type == "NotRegistered" or not_run)
