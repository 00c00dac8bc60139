"""The store in Redis: one script applies a batch, readers use its indexes and never scan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, cast

import msgpack
import redis
from celery import Celery
from redis.exceptions import NoScriptError

from chordwatch.model import FINISHED
from chordwatch.recording.records import VERSION, Heartbeat, pack_id
from chordwatch.settings import Settings, shown_url, store_url_of
from chordwatch.store.chords import read_chord
from chordwatch.store.connect import TIMEOUT_SECONDS, connect, hang_up, reaching
from chordwatch.store.counts import read_counters
from chordwatch.store.facts import ChordFacts, nearness
from chordwatch.store.histograms import BUCKETS
from chordwatch.store.keys import Keys, listed_id, place_of_id
from chordwatch.store.line import Line
from chordwatch.store.protocol import Counters, RecordedChord, StoreState, WorkerRecord
from chordwatch.store.rows import StoredChord, decode_chord, read_facts, text
from chordwatch.store.script import apply_script, beat_script
from chordwatch.store.workers import REMEMBERED_SECONDS, pack_heartbeat, read_worker

_MEGABYTE = 1 << 20
#: A call settles ten chords or so; a reader waits for so many calls at the most.
_SETTLING_CALLS = 100
_AT_ONCE = 200
_SETTLED_TOGETHER = 20
#: Lists show the header of chords up to this size.
_LISTED_HEADER = 1000


class RedisStore:
    """The store of one namespace. Not for several threads at once; a fork needs its own."""

    def __init__(
        self,
        url: str,
        *,
        client_name: str,
        namespace: str = "default",
        finished_retention: float = 86_400,
        open_retention: float = 7 * 86_400,
        store_max_mb: float = 64,
        options: Mapping[str, Any] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._redis = connect(url, client_name=client_name, options=options, timeout=timeout)
        self._line = Line(self._redis)
        self._shown = shown_url(url)
        self._namespace, self._keys = namespace, Keys(namespace)
        self._arguments = (
            str(finished_retention),
            str(open_retention),
            str(int(store_max_mb * _MEGABYTE)),
            msgpack.packb(BUCKETS),
        )
        self._sha = ""
        self._names: dict[int, dict[int, str]] = {}
        self._unreadable: Counter[str] = Counter()

    @classmethod
    def for_app(
        cls, settings: Settings, app: Celery, *, client_name: str, timeout: float = TIMEOUT_SECONDS
    ) -> RedisStore:
        """Return the store that the settings name for `app`; it connects when it is first used.

        Raises:
            SettingError: neither broker nor result backend is Redis, and no other Redis is named.
        """
        url, options = store_url_of(settings, app.conf)
        return cls(
            url,
            client_name=client_name,
            namespace=settings.namespace,
            finished_retention=settings.finished_retention,
            open_retention=settings.open_retention,
            store_max_mb=settings.store_max_mb,
            options=options,
            timeout=timeout,
        )

    @property
    def _client(self) -> redis.Redis:
        """The client for everything but batches; there is but one connection."""
        self._line.let_go()
        return self._redis

    def apply(self, batch: bytes) -> None:
        """Apply one batch of records. Applying it again changes nothing.

        Raises:
            UnreachableError: Redis does not answer or refuses to write; the batch may be sent again.
            ValueError: the batch itself cannot be applied.
        """
        with reaching(self._shown):
            self._run(batch)

    def beat(self, heartbeat: Heartbeat, *, goodbye: bool = False) -> None:
        """Note that a worker lives, or that it says goodbye."""
        told = (heartbeat.boot, pack_heartbeat(heartbeat), int(goodbye), REMEMBERED_SECONDS)
        with reaching(self._shown):
            self._client.eval(beat_script(), 1, self._keys.meta, *told)

    def _run(self, batch: bytes) -> int:
        """Run the script; a server that does not know it (yet, or after a restart) is given it."""
        command = (2, self._keys.meta, self._keys.versions, batch, *self._arguments)
        try:
            return cast("int", self._line.send("EVALSHA", self._sha or "0" * 40, *command))
        except NoScriptError:
            self._sha = str(self._client.script_load(apply_script()))
            return cast("int", self._line.send("EVALSHA", self._sha, *command))

    def get(self, id: str) -> RecordedChord | None:  # noqa: A002  # the contract's name
        """Return the chord with this group id, callback id or header task id, with its header."""
        with reaching(self._shown):
            return next((found for found in self._read([pack_id(id)])), None) or self._find(id)

    def chords(self, chord_ids: Iterable[str]) -> list[RecordedChord]:
        """Return those of the chords with these group ids that are recorded."""
        with reaching(self._shown):
            return self._read([pack_id(chord_id) for chord_id in chord_ids])

    def open_chords(self, *, limit: int | None = None) -> list[RecordedChord]:
        """Return chords that are open or planned, those without progress for longest first."""
        with reaching(self._shown):
            ids = self._listed(self._client.zrange, "open", 0, _end(limit))
            chords = self._read(ids, large_headers=False)
        return [chord for chord in chords if chord.chord.state not in FINISHED]

    def finished_chords(self, *, limit: int | None = None) -> list[RecordedChord]:
        """Return finished chords, newest first."""
        # The lists are in the order of settling, which is only nearly that of finishing.
        first = 0 if limit is None else -max(limit, 1) - _SETTLED_TOGETHER
        with reaching(self._shown):
            settling = self._listed(self._client.zrange, "settle", first, -1)
            settled = [
                listed_id(entry)
                for name in ("summary", "finished")
                for entry in self._listed(self._client.lrange, name, first, -1)
            ]
            chords = self._read(list(dict.fromkeys(settled + settling)), large_headers=False)
        finished = [chord for chord in chords if chord.chord.state in FINISHED]
        return sorted(finished, key=lambda chord: chord.chord.finished_at or 0.0, reverse=True)[:limit]

    def open_counts(self) -> dict[str, tuple[int, float]]:
        """Return for each callback name how many chords are open, and when the oldest was opened."""
        with reaching(self._shown):
            labels = {*self._listed(self._client.smembers, "callbacks"), b"unknown", b"other"}
            pipe = self._client.pipeline(transaction=False)
            for label in labels:
                pipe.zcard(self._keys(b"o:" + label))
                pipe.zrange(self._keys(b"o:" + label), 0, 0, withscores=True)
            replies = _replies(pipe)
        counts = {}
        for label, many, oldest in zip(labels, replies[::2], replies[1::2], strict=True):
            if isinstance(many, int) and many and isinstance(oldest, list) and oldest:
                counts[text(label)] = (many, float(oldest[0][1]))
        return counts

    def counters(self) -> Counters:
        """Return all counters and histograms, after a sweep: also those of chords that finished a moment ago."""
        with reaching(self._shown):
            self._settle()
            fields = self._asked(self._client.hgetall, self._keys("k")) or {}
        counters, unreadable = read_counters(fields.items())
        self._unreadable["counter"] = unreadable
        return counters

    def _settle(self) -> None:
        """Settle the chords that are due, a few a call; who may only read sees what others have settled."""
        with suppress(redis.exceptions.NoPermissionError):
            for _ in range(_SETTLING_CALLS):
                self._run(b"")
                seconds, _microseconds = self._client.time()
                if not self._listed(self._client.zrangebyscore, "settle", 0, seconds, 0, 1):
                    return

    def workers(self) -> list[WorkerRecord]:
        """Return the workers that were seen within the last hour."""
        with reaching(self._shown):
            boots = self._listed(self._client.zrange, "workers", 0, -1)
            pipe = self._client.pipeline(transaction=False)
            for boot in boots:
                pipe.hgetall(self._keys(b"w:" + boot))
            replies = _replies(pipe)
        found = [read_worker(fields if isinstance(fields, dict) else {}) for fields in replies if fields]
        self._unreadable["worker"] = found.count(None)
        return [worker for worker in found if worker]

    def state(self) -> StoreState:
        """Return how the store itself is. Asks INFO, because managed services refuse CONFIG."""
        with reaching(self._shown):
            memory = self._client.info("memory")
            evicted = self._client.info("stats").get("evicted_keys", 0)
            used, chords = cast(
                "list[bytes | None]", self._client.hmget(self._keys.meta, ["bytes", "chords"])
            )
            versions = self._asked(self._client.smembers, self._keys.versions) or ()
        evicts = memory.get("maxmemory_policy", "noeviction") != "noeviction" and bool(
            memory.get("maxmemory")
        )
        others = {f"version {text(v)}": 1 for v in versions if v != str(VERSION).encode()}
        return StoreState(
            bytes_used=_number(used),
            chords=_number(chords),
            evicts=bool(evicts or evicted),
            unreadable={kind: many for kind, many in (self._unreadable | Counter(others)).items() if many},
        )

    def now(self) -> float:
        """Return the clock of Redis in Unix seconds."""
        with reaching(self._shown):
            seconds, microseconds = self._client.time()
        return seconds + microseconds / 1e6

    def close(self) -> None:
        """Give the connection back; in a forked child, only the child's copy of it."""
        hang_up(self._redis)
        self._line = Line(self._redis)

    def _listed(self, command: Any, name: str, *arguments: int) -> list[bytes]:
        """Return the members of an index; none where a foreign value stands in its place."""
        return list(self._asked(command, self._keys(name), *arguments) or ())

    def _asked(self, command: Any, key: bytes, *arguments: Any) -> Any:
        """Return the reply to a reading command; None where a value of a foreign type stands in the key's place."""
        try:
            return command(key, *arguments)
        except redis.ResponseError as exc:
            if not str(exc).startswith("WRONGTYPE"):
                raise
            self._unreadable["index"] += 1
            return None

    def _find(self, task_id: str) -> RecordedChord | None:
        """Ask the index of each living segment for the chord of a task."""
        packed = pack_id(task_id)
        place = place_of_id(packed)
        pipe = self._client.pipeline(transaction=False)
        segments = self._segments()
        for segment in segments:
            pipe.smembers(self._keys(f"i:{segment}:{place.bucket}"))
        candidates = [
            (segment, number)
            for segment, entries in zip(segments, _replies(pipe), strict=True)
            for number in place.numbers(entries if isinstance(entries, set) else set())
        ]
        for segment, number in candidates:
            pipe.lindex(self._keys(f"s:{segment}"), number - 1)
        found = [chord_id for chord_id in _replies(pipe) if isinstance(chord_id, bytes)]
        nearest = max(self._facts(found), key=lambda facts: nearness(facts, task_id), default=None)
        if nearest is None or not nearness(nearest, task_id):
            return None
        return read_chord(nearest, namespace=self._namespace)

    def _segments(self) -> list[int]:
        """Return the numbers of the segments that have chords, newest first."""
        fields = self._asked(self._client.hkeys, self._keys.meta) or ()
        return sorted((int(f[1:]) for f in fields if f[:1] == b"g" and f[1:].isdigit()), reverse=True)

    def _read(self, packed_ids: list[bytes], *, large_headers: bool = True) -> list[RecordedChord]:
        """Return the chords that are there and readable; a list leaves out headers that would take too long."""
        return [
            read_chord(facts, namespace=self._namespace, header=not facts.counted_left_out)
            for facts in self._facts(packed_ids, large_headers=large_headers)
        ]

    def _facts(self, packed_ids: list[bytes], *, large_headers: bool = True) -> Iterator[ChordFacts]:
        for start in range(0, len(packed_ids), _AT_ONCE):
            stored = self._stored(packed_ids[start : start + _AT_ONCE])
            details = self._details([chord for chord in stored if chord.has_detail])
            self._learn_names(stored)
            for chord in stored:
                only_waiting = not large_headers and chord.top > _LISTED_HEADER
                names, detail = self._names.get(chord.segment, {}), details.get(chord.packed_id, {})
                facts = read_facts(chord, detail, names, only_waiting=only_waiting)
                if facts:
                    yield facts
                else:
                    self._unreadable["chord"] += 1

    def _stored(self, packed_ids: list[bytes]) -> list[StoredChord]:
        pipe = self._client.pipeline(transaction=False)
        for packed_id in packed_ids:
            pipe.get(self._keys.chord(packed_id))
        stored = []
        for packed_id, value in zip(packed_ids, _replies(pipe), strict=True):
            if value is None:
                continue
            chord = decode_chord(packed_id, value if isinstance(value, bytes) else b"")
            if chord:
                stored.append(chord)
            else:
                self._unreadable["chord"] += 1
        return stored

    def _details(self, chords: list[StoredChord]) -> dict[bytes, dict[bytes, bytes]]:
        pipe = self._client.pipeline(transaction=False)
        for chord in chords:
            pipe.hgetall(self._keys.detail(chord.packed_id))
        return {
            chord.packed_id: detail
            for chord, detail in zip(chords, _replies(pipe), strict=True)
            if isinstance(detail, dict)
        }

    def _learn_names(self, chords: list[StoredChord]) -> None:
        """Read the names of segments; those that are known only grow, so a known number stays right."""
        segments = sorted({chord.segment for chord in chords})
        pipe = self._client.pipeline(transaction=False)
        for segment in segments:
            pipe.hgetall(self._keys(f"n:{segment}"))
        for segment, fields in zip(segments, _replies(pipe), strict=True):
            if isinstance(fields, dict):
                self._names[segment] = {
                    int(field[1:]): text(name)
                    for field, name in fields.items()
                    if field[:1] == b"#" and field[1:].isdigit()
                }


def _end(limit: int | None) -> int:
    return -1 if limit is None else max(limit, 1) - 1


def _number(raw: bytes | None) -> int:
    return int(raw) if raw and raw.isdigit() else 0


def _replies(pipe: Any) -> list[Any]:
    """Return a pipeline's replies; for a key of a foreign type the error stands in its place."""
    replies = cast("list[Any]", pipe.execute(raise_on_error=False))
    for reply in replies:
        if isinstance(reply, Exception) and not str(reply).startswith("WRONGTYPE"):
            raise reply
    return replies
