"""The counted parts of a chord: `.j` (zset by index, or list) with `.d` (ids with index, Celery 5.7).

Used by `backend` only. Values hold the tasks' results, so they are fetched in chunks of bounded size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from chordwatch.evidence.budget import CHUNK_BYTES, Budget, Gaps, chunk_length
from chordwatch.evidence.decode import MAX_BYTES, UndecodableError, as_bytes, decoded, load
from chordwatch.evidence.facts import ChordKeys, Part
from chordwatch.foreign import as_dict, as_list, as_text
from chordwatch.model import ERROR_LENGTH, TaskState

CHUNK_ENTRIES = 1000
#: So many chords' parts are remembered, of at most `CHUNK_ENTRIES` each.
_MAX_KEPT = 10_000
#: The end of a key's life is computed from the life that is left, at two moments. Seconds.
_SAME_LIFE = 0.2
#: How Celery's JSON begins for a part that succeeded: the result behind it, which may be large, need not be read.
_SUCCEEDED = re.compile(rb'\[1, "([^"\\\x00-\x1f]+)", "SUCCESS", ')

#: Celery's states; a user's own state (`update_state`) is one of a running task.
STATES: dict[str, TaskState] = {
    "PENDING": "unknown",
    "RECEIVED": "received",
    "STARTED": "started",
    "RETRY": "retrying",
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "REVOKED": "revoked",
    "REJECTED": "rejected",
    "IGNORED": "ignored",
}


class PartsReader:
    """Reads `.j` and `.d`. Redis errors pass through to `backend`, which names the server."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._kept: dict[str, ChordKeys] = {}

    def fill(
        self, found: dict[str, ChordKeys], key: Callable[[str, bytes], bytes], budget: Budget, gaps: Gaps
    ) -> None:
        """Put the parts into those of `found` that have any, small ones many at a time.

        What has not changed since the last look is not read again: each part that is counted sets the life anew.
        """
        with_parts = [
            id_ for id_, keys in found.items() if keys.counted and not self._remembered(found, keys)
        ]
        sizes = self._memory([key(chord_id, b".j") for chord_id in with_parts])
        small = [c for c, size in zip(with_parts, sizes, strict=True) if size and size <= CHUNK_BYTES // 20]
        for chord_id, parts in self._small(small, key, gaps).items():
            found[chord_id] = replace(found[chord_id], parts=parts)
        for chord_id, size in zip(with_parts, sizes, strict=True):
            if found[chord_id].parts:
                continue
            counted = found[chord_id].counted
            parts = self._large((key(chord_id, b".j"), key(chord_id, b".d")), counted, size, budget, gaps)
            found[chord_id] = replace(found[chord_id], parts=parts, parts_complete=len(parts) >= counted)
        self._keep(found[chord_id] for chord_id in with_parts)

    def _remembered(self, found: dict[str, ChordKeys], keys: ChordKeys) -> bool:
        """Put the parts of the last look into `found` where they are still the same; return whether they are."""
        kept = self._kept.get(keys.chord_id)
        if kept is None or kept.counted != keys.counted or not kept.expires_at or not keys.expires_at:
            return False
        if abs(kept.expires_at - keys.expires_at) > _SAME_LIFE:
            return False
        found[keys.chord_id] = replace(keys, parts=kept.parts)
        return True

    def _keep(self, chords: Iterable[ChordKeys]) -> None:
        for keys in chords:
            self._kept.pop(keys.chord_id, None)
            if keys.parts and len(keys.parts) == keys.counted <= CHUNK_ENTRIES:
                self._kept[keys.chord_id] = keys
        while len(self._kept) > _MAX_KEPT:
            del self._kept[next(iter(self._kept))]

    def entries(
        self, parts_key: bytes, ids_key: bytes, budget: Budget, gaps: Gaps
    ) -> Iterator[dict[str, Any]]:
        """Yield every readable entry with its result: index, task_id, state, result."""
        size = self._memory([parts_key])[0]
        indexes: dict[str, int | None] | None = None
        for value, score in self._chunks(parts_key, size, budget, gaps):
            entry = read_entry(value, gaps)
            if entry is None:
                continue
            _, task_id, state, result = entry
            if score is None and indexes is None:
                indexes = {part.task_id: part.index for part in self._ids(ids_key)}
            index = score_index(score) if score is not None else (indexes or {}).get(task_id)
            yield {"index": index, "task_id": task_id, "state": state, "result": result}

    def _small(
        self, chord_ids: list[str], key: Callable[[str, bytes], bytes], gaps: Gaps
    ) -> dict[str, tuple[Part, ...]]:
        pipe = self._client.pipeline(transaction=False)
        for chord_id in chord_ids:
            pipe.zrange(key(chord_id, b".j"), 0, CHUNK_ENTRIES, withscores=True)
        answers = pipe.execute(raise_on_error=False)
        return {
            chord_id: tuple(part for value, score in rows if (part := _part(value, score, gaps)))
            for chord_id, rows in zip(chord_ids, answers, strict=True)
            if not isinstance(rows, Exception) and len(rows) <= CHUNK_ENTRIES
        }

    def _large(
        self, keys: tuple[bytes, bytes], counted: int, size: int | None, budget: Budget, gaps: Gaps
    ) -> tuple[Part, ...]:
        """Return the parts; `.d`, which is small, tells ids and indexes where `.j` does not or was too much."""
        parts_key, ids_key = keys
        parts: list[Part] = []
        unindexed = False
        for value, score in self._chunks(parts_key, size, budget, gaps):
            part = _part(value, score, gaps)
            if part:
                parts.append(part)
                unindexed = unindexed or score is None
        if not unindexed and len(parts) >= counted:
            return tuple(parts)
        rest = {part.task_id: part for part in self._ids(ids_key)}
        if unindexed:
            parts = [
                replace(part, index=rest[part.task_id].index) if part.task_id in rest else part
                for part in parts
            ]
        read = {part.task_id for part in parts}
        return (*parts, *(part for task_id, part in rest.items() if task_id not in read))

    def _chunks(
        self, key: bytes, size: int | None, budget: Budget, gaps: Gaps
    ) -> Iterator[tuple[bytes, float | None]]:
        """Yield (value, score) of the zset, (value, None) of the list, chunk by chunk within `budget`."""
        ordered = as_bytes(self._client.type(key)) == b"zset"
        total = int(self._client.zcard(key) if ordered else self._client.llen(key))
        if (size or 0) // max(total, 1) > MAX_BYTES:
            gaps.skip("part with an oversized result")
            return
        step = chunk_length(total, size, CHUNK_ENTRIES)
        for start in range(0, total, step):
            if budget.spent:
                gaps.note(
                    f"Time ran out after {start:,} of {total:,} counted parts of one chord.", partial=True
                )
                return
            stop = start + step - 1
            if ordered:
                yield from self._client.zrange(key, start, stop, withscores=True)
            else:
                yield from ((value, None) for value in self._client.lrange(key, start, stop))

    def _ids(self, key: bytes) -> Iterator[Part]:
        """Yield the members of `.d`, which are `task id:index`; absent before Celery 5.7."""
        if as_bytes(self._client.type(key)) != b"set":
            return
        for member in self._client.sscan_iter(key, count=CHUNK_ENTRIES):
            task_id, _, index = decoded(as_bytes(member)).rpartition(":")
            yield Part(index=int(index) if index.isdigit() else None, task_id=task_id)

    def _memory(self, keys: list[bytes]) -> list[int | None]:
        """Return the bytes each key takes; None where the server does not tell (ACL, a managed Redis)."""
        pipe = self._client.pipeline(transaction=False)
        for key in keys:
            pipe.memory_usage(key)
        answers = pipe.execute(raise_on_error=False) if keys else []
        return [answer if isinstance(answer, int) else None for answer in answers]


def read_entry(value: object, gaps: Gaps) -> tuple[int, str, str, object] | None:
    """Return `[1, task id, state, result]` as Celery encodes a part; None, counted, for anything else."""
    raw = as_bytes(value)
    if len(raw) > MAX_BYTES:
        gaps.skip("part with an oversized result")
        return None
    try:
        entry = as_list(load(raw))
    except UndecodableError as exc:
        gaps.skip(f"{exc} among the counted parts")
        return None
    if len(entry) != 4 or not as_text(entry[1]) or not as_text(entry[2]):  # noqa: PLR2004  # see above
        gaps.skip("foreign entry among the counted parts")
        return None
    return entry[0], entry[1], entry[2], entry[3]


def error_of(result: object) -> tuple[str | None, str | None]:
    """Return the type's name and the shortened text of a stored exception; the text holds the type."""
    stored = as_dict(result)
    kind = as_text(stored.get("exc_type"))
    if not kind:
        return None, None
    message = stored.get("exc_message")
    text = ", ".join(str(item) for item in message) if isinstance(message, list) else str(message or "")
    return kind[:ERROR_LENGTH], (f"{kind}: {text}" if text else kind)[:ERROR_LENGTH]


def score_index(score: float) -> int | None:
    """Return a zset score as header index; Celery scores a part without `group_index` +inf."""
    return int(score) if math.isfinite(score) else None


def _part(value: object, score: float | None, gaps: Gaps) -> Part | None:
    index = score_index(score) if score is not None else None
    succeeded = _SUCCEEDED.match(as_bytes(value))
    if succeeded:
        return Part(index=index, task_id=decoded(succeeded[1]), state="succeeded")
    entry = read_entry(value, gaps)
    if entry is None:
        return None
    _, task_id, state, result = entry
    kind, text = error_of(result) if state in ("FAILURE", "REVOKED") else (None, None)
    return Part(index=index, task_id=task_id, state=STATES.get(state, "started"), error_type=kind, error=text)
