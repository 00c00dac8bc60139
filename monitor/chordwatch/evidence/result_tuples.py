"""Celery's stored result tuples, `[[id, parent], children]`: a task has no children, a group has a list. Pure.

Checked against Celery 5.4 to 5.7 (`ResultBase.as_tuple`).
"""

from __future__ import annotations

from collections.abc import Iterator

from chordwatch.evidence.facts import Launch
from chordwatch.foreign import as_list, as_text

#: A hostile or gigantic tree is walked only so far.
MAX_NODES = 1_000_000


def leaves(results: list[object]) -> Iterator[str]:
    """Yield the task ids in `results`, groups opened, in order."""
    stack, seen = list(reversed(results)), 0
    while stack and seen < MAX_NODES:
        own_id, children = _split(stack.pop())
        seen += 1
        if children is not None:
            stack.extend(reversed(children))
        elif own_id:
            yield own_id


def launches(results: list[object]) -> Iterator[Launch]:
    """Yield the groups in `results`: plain groups and chords' headers look alike."""
    for result in results:
        group_id, children = _split(result)
        if group_id and children:
            yield Launch(group_id=group_id, task_ids=tuple(leaves(children)))


def inner_groups(results: list[object]) -> Iterator[str]:
    """Yield the ids of the groups that stand inside the groups in `results`."""
    stack, seen = [child for result in results for child in _split(result)[1] or ()], 0
    while stack and seen < MAX_NODES:
        own_id, children = _split(stack.pop())
        seen += 1
        if children is not None:
            stack.extend(children)
            if own_id:
                yield own_id


def _split(result: object) -> tuple[str | None, list[object] | None]:
    node = as_list(result)
    if len(node) != 2:  # noqa: PLR2004  # own id with its parent, children
        return None, None
    own, children = node
    return as_text(own[0] if isinstance(own, list) and own else own), children if isinstance(
        children, list
    ) else None
