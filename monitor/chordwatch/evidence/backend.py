"""Celery's Redis result backend: the keys of chords, and task results.

All knowledge of these private keys is in this module and `backend_parts`; checked against Celery 5.4 to 5.7
(`celery/backends/redis.py`, `celery/backends/base.py`). Reads only, through Celery's own client, in bounded
commands: no KEYS, no unbounded range.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import celery
import redis
from celery import Celery
from celery.backends.redis import RedisBackend
from celery.exceptions import ImproperlyConfigured

from chordwatch.errors import UnsupportedError
from chordwatch.evidence import backend_metas
from chordwatch.evidence.backend_parts import PartsReader
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.decode import MAX_BYTES, UndecodableError, as_bytes, decoded, load, number
from chordwatch.evidence.facts import ChordKeys, Claim, Server, TaskMeta, Unlock
from chordwatch.evidence.reachable import reading
from chordwatch.evidence.result_tuples import inner_groups, leaves
from chordwatch.evidence.servers import read_server
from chordwatch.foreign import as_dict, as_moment

#: `.d` is new in Celery 5.7 and is never alone; `.j .s .t .c` tell that a group id is a chord's.
SUFFIXES = (b".s", b".j", b".t", b".c", b".d")
#: Celery 5.4 and 5.5 give callbacks no group id; the reader's Celery is taken for the project's.
GROUPLESS_CALLBACKS = celery.VERSION < (5, 6)
#: SCAN's COUNT: 1,000 keys take Redis about 0.4 ms.
SCAN_COUNT = 1000
BATCH = 200
#: Calibration: how many results are looked at to learn how long results live here.
_SAMPLES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """What a SCAN met: chords, saved GroupResults (a plain group's too), and where to go on (0: all was seen)."""

    chord_ids: set[str]
    group_ids: set[str]
    cursor: int


class BackendReader:
    """Reads one app's Redis result backend. Not thread-safe.

    Raises:
        UnsupportedError: the app's result backend is not Redis.
        UnreachableError: (every method) Redis does not answer.
    """

    pinged = True

    def __init__(self, app: Celery) -> None:
        try:
            backend = app.backend
        except (ImproperlyConfigured, ImportError, ValueError) as exc:
            raise UnsupportedError(
                f"The result backend cannot be loaded ({type(exc).__name__}), and only Redis can be read; "
                "give the right one with -A or --result-backend."
            ) from exc
        if not isinstance(backend, RedisBackend):
            kind = type(backend).__name__
            raise UnsupportedError(
                f"The result backend is {kind}, and only Redis can be read; "
                "give the right one with -A or --result-backend."
            )
        self._backend = backend
        self._client: Any = backend.client
        self._group_prefix = as_bytes(self._backend.group_keyprefix)
        self._task_prefix = as_bytes(self._backend.task_keyprefix)
        self._parts = PartsReader(self._client)
        self._lifetime: float | None = None

    @property
    def url(self) -> str:
        """Where the backend is, without its password."""
        return str(self._backend.as_uri(include_password=False))

    def told(self, _: Mapping[str, Unlock], __: Gaps) -> None:
        """Learn nothing: Redis counts, and nobody polls."""

    def absent(self, chord_id: str) -> ChordKeys:
        """Return what Redis says of a chord without a key."""
        return ChordKeys(chord_id=chord_id)

    def ping(self) -> None:
        """Return when Redis answers."""
        with self._reading():
            self._client.ping()

    def info(self, gaps: Gaps) -> Server:
        """Return what its Redis says of itself; where it refuses, `gaps` says so."""
        with self._reading():
            return read_server(self._client, "result backend", self.url, gaps)

    def scan_chords(self, cursor: int, budget: Budget) -> Met:
        """Return the group ids whose keys a SCAN met from `cursor` on."""
        chords: set[str] = set()
        groups: set[str] = set()
        after = cursor
        for after, keys in self._scan(self._group_prefix, cursor, budget):  # noqa: B007  # returned
            for key in keys:
                name = decoded(key[len(self._group_prefix) :])
                if key.endswith(SUFFIXES):
                    chords.add(name[:-2])
                else:
                    groups.add(name)
        return Met(chord_ids=chords, group_ids=groups, cursor=after)

    def inner_groups(self, group_ids: Iterable[str], budget: Budget, gaps: Gaps) -> set[str]:
        """Return the ids of the groups inside the saved GroupResults of `group_ids`.

        When a chain in a complex header reaches its group, Celery sets a size for that group's id and counts its
        tasks for the chord (`group._apply_tasks`): such a key is no chord, and nobody ever deletes it.
        """
        found: set[str] = set()
        for group_id in group_ids:
            if budget.spent:
                break
            with self._reading():
                length = self._client.strlen(self._group_key(group_id))
                found |= set(inner_groups([self._group_tree(group_id, length, gaps)]))
        return found

    def scan_metas(self, cursor: int, budget: Budget, gaps: Gaps) -> tuple[list[TaskMeta], int]:
        """Return task results that a SCAN met from `cursor` on, and where to go on (0: all seen)."""
        metas: list[TaskMeta] = []
        after = cursor
        for after, keys in self._scan(self._task_prefix, cursor, budget):  # noqa: B007  # returned
            ids = [decoded(key[len(self._task_prefix) :]) for key in keys]
            metas.extend(self.read_metas(ids, gaps).values())
        return metas, after

    def read_chords(self, chord_ids: Iterable[str], budget: Budget, gaps: Gaps) -> dict[str, ChordKeys]:
        """Return the keys of those of `chord_ids` that have any; what time did not suffice for is left out."""
        wanted = list(dict.fromkeys(chord_ids))
        chords: dict[str, ChordKeys] = {}
        for start in range(0, len(wanted), BATCH):
            if budget.spent:
                gaps.leave_out(wanted[start:], start)
                break
            batch = wanted[start : start + BATCH]
            with self._reading():
                chords |= self._read_batch(batch, budget, gaps)
        return chords

    def read_metas(self, task_ids: Iterable[str], gaps: Gaps) -> dict[str, TaskMeta]:
        """Return the stored results of `task_ids`, without the results themselves."""
        wanted = list(dict.fromkeys(task_ids))
        metas: dict[str, TaskMeta] = {}
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            with self._reading():
                payloads = backend_metas.fetch(self._client, [self._task_key(task_id) for task_id in batch])
            for task_id, payload in zip(batch, payloads, strict=True):
                meta = backend_metas.parse(task_id, payload, gaps)
                if meta:
                    metas[task_id] = meta
        return metas

    def read_results(self, chord_id: str, budget: Budget, gaps: Gaps) -> list[dict[str, Any]]:
        """Return the counted parts with their results, in header order: index, task_id, state, result."""
        with self._reading():
            key = self._group_key(chord_id, b".j")
            entries = list(self._parts.entries(key, self._group_key(chord_id, b".d"), budget, gaps))
        return sorted(entries, key=lambda entry: (entry["index"] is None, entry["index"] or 0))

    def read_result(self, task_id: str, gaps: Gaps) -> object:
        """Return the stored result value of one task, None when there is none or it cannot be read."""
        with self._reading():
            payload = backend_metas.fetch(self._client, [self._task_key(task_id)], whole=MAX_BYTES)[0]
        return backend_metas.result_of(payload, gaps)

    def _read_batch(self, chord_ids: list[str], budget: Budget, gaps: Gaps) -> dict[str, ChordKeys]:
        pipe = self._client.pipeline(transaction=False)
        for chord_id in chord_ids:
            size, parts = self._group_key(chord_id, b".s"), self._group_key(chord_id, b".j")
            # GETRANGE bounds what a foreign key can make us fetch.
            pipe.getrange(size, 0, 63).getrange(self._group_key(chord_id, b".t"), 0, 63)
            claim = self._group_key(chord_id, b".c")
            pipe.getrange(claim, 0, 63).pttl(claim).pttl(size).pttl(parts)
            pipe.zcard(parts).llen(parts).strlen(self._group_key(chord_id))
        answers = pipe.execute(raise_on_error=False)
        self._refuse_denied(answers)
        now = time.time()
        rows = [answers[at : at + 9] for at in range(0, len(answers), 9)]
        found = {}
        for chord_id, row in zip(chord_ids, rows, strict=True):
            keys = self._keys_of(chord_id, row, now, gaps)
            if keys and keys.exists:
                found[chord_id] = keys
        self._parts.fill(found, self._group_key, budget, gaps)
        self._calibrate(found, gaps)
        return {chord_id: self._with_touch(keys, now) for chord_id, keys in found.items()}

    def _keys_of(self, chord_id: str, row: list[Any], now: float, gaps: Gaps) -> ChordKeys | None:
        size, added, claim, claim_ttl, size_ttl, parts_ttl, zset, plain, result_length = row
        counted = next((n for n in (zset, plain) if isinstance(n, int)), None)
        if counted is None or isinstance(size, Exception) or (size and number(size) is None):
            gaps.skip("chord key of a foreign type")
            return None
        lives = [ttl / 1000 for ttl in (size_ttl, parts_ttl) if isinstance(ttl, int) and ttl >= 0]
        dispatched = _claim(claim) == "done" and isinstance(claim_ttl, int) and claim_ttl >= 0
        return ChordKeys(
            chord_id=chord_id,
            size=number(size),
            added=number(added) or 0,
            counted=counted,
            claim=_claim(claim),
            members=tuple(leaves([self._group_tree(chord_id, result_length, gaps)])),
            expires_at=as_moment(now + min(lives)) if lives else None,
            dispatched_at=as_moment(now + claim_ttl / 1000 - self._done_lifetime()) if dispatched else None,
        )

    def _done_lifetime(self) -> float:
        """Return how many seconds Celery remembers that a callback was sent (`on_chord_part_return`)."""
        claim = max(5, int((self._backend.app.conf.result_chord_join_timeout or 5.0) * 2))
        return float(max(2 * claim, 300))

    def _group_tree(self, group_id: str, length: object, gaps: Gaps) -> object:
        """Return the result tuple of the GroupResult that Celery saves for complex headers, None without one."""
        if not isinstance(length, int) or length == 0:
            return None
        if length > MAX_BYTES:
            gaps.skip("oversized group result")
            return None
        try:
            return as_dict(load(as_bytes(self._client.get(self._group_key(group_id)) or b""))).get("result")
        except UndecodableError as exc:
            gaps.skip(str(exc))
            return None

    def _calibrate(self, found: dict[str, ChordKeys], gaps: Gaps) -> None:
        """Learn how long results live here: the life that one has left, plus its age.

        The configuration that this process sees may be another one than the workers'.
        """
        if self._lifetime is not None:
            return
        ids = [keys.parts[0].task_id for keys in found.values() if keys.parts][
            :_SAMPLES
        ] or self._some_results()
        if not ids:
            return
        self._lifetime = configured = float(_chord_lifetime(self._backend) or 0)
        pipe = self._client.pipeline(transaction=False)
        for task_id in ids:
            pipe.pttl(self._task_key(task_id))
        lives = pipe.execute(raise_on_error=False)
        metas = self.read_metas(ids, gaps)
        now = time.time()
        samples = [
            life / 1000 + now - meta.finished_at
            for task_id, life in zip(ids, lives, strict=True)
            if (meta := metas.get(task_id)) and meta.finished_at and isinstance(life, int) and life > 0
        ]
        if samples and abs(median(samples) - configured) > 0.05 * configured:
            self._lifetime = median(samples)
            gaps.note(
                f"Results here live {self._lifetime:,.0f} s, but this command's result_expires is {configured:,.0f} s; "
                "times of last progress are computed with the former."
            )

    def _some_results(self) -> list[str]:
        """Return the ids of a few stored results, whichever one SCAN meets first."""
        _, keys = next(self._scan(self._task_prefix, 0, Budget(0)))
        return [decoded(key[len(self._task_prefix) :]) for key in keys[:_SAMPLES]]

    def _with_touch(self, keys: ChordKeys, now: float) -> ChordKeys:
        """Add the time of the last write, which sets the keys' life anew: published, or the last part counted."""
        lifetime = self._lifetime or float(_chord_lifetime(self._backend) or 0)
        if keys.expires_at is None or not lifetime or keys.expires_at - lifetime > now + 1:
            return keys
        return replace(keys, touched_at=keys.expires_at - lifetime)

    def _scan(self, prefix: bytes, cursor: int, budget: Budget) -> Iterator[tuple[int, list[bytes]]]:
        pattern = _glob_literal(prefix) + b"*"
        while True:
            with self._reading():
                cursor, keys = self._client.scan(cursor, match=pattern, count=SCAN_COUNT)
            yield int(cursor), [as_bytes(key) for key in keys]
            if not int(cursor) or budget.spent:
                return

    def _group_key(self, chord_id: str, suffix: bytes = b"") -> bytes:
        return self._group_prefix + chord_id.encode("utf-8", "surrogateescape") + suffix

    def _task_key(self, task_id: str) -> bytes:
        return self._task_prefix + task_id.encode("utf-8", "surrogateescape")

    def _refuse_denied(self, answers: list[Any]) -> None:
        denied = next((a for a in answers if isinstance(a, redis.exceptions.NoPermissionError)), None)
        if denied:
            raise denied

    def _reading(self) -> AbstractContextManager[None]:
        return reading("result backend", self.url)


def _claim(value: object) -> Claim | None:
    if not isinstance(value, bytes | str) or not value:
        return None
    return "done" if as_bytes(value) == b"done" else "claimed"


def _chord_lifetime(backend: Any) -> float | None:
    """Return the configured life of chord keys in seconds; `chord_expires` is new in Celery 5.7."""
    lifetime: float | None = getattr(backend, "chord_expires", None) or backend.expires
    return lifetime


def _glob_literal(prefix: bytes) -> bytes:
    return b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\" else bytes([byte]) for byte in prefix)
