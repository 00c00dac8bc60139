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
from chordwatch.settings import DURATION_BUCKETS, Settings, shown_url, store_url_of
from chordwatch.store.chords import membership_of, read_chord
from chordwatch.store.connect import TIMEOUT_SECONDS, connect, hang_up, reaching, replies_of
from chordwatch.store.connections import connected
from chordwatch.store.counts import read_counters
from chordwatch.store.facts import ChordFacts
from chordwatch.store.kept import KeptChords
from chordwatch.store.keys import Keys, listed_id
from chordwatch.store.line import Line
from chordwatch.store.protocol import (
    Counters,
    Judged,
    Judgement,
    Membership,
    RecordedChord,
    StoreState,
    WorkerRecord,
)
from chordwatch.store.redis_index import RedisIndex
from chordwatch.store.redis_judgements import RedisJudgements
from chordwatch.store.redis_state import read_state
from chordwatch.store.rows import StoredChord, decode_chord, read_facts, text
from chordwatch.store.script import apply_script, beat_script
from chordwatch.store.workers import REMEMBERED_SECONDS, pack_heartbeat, read_worker

_MEGABYTE = 1 << 20
#: A call settles ten chords or so; a reader waits for so many calls at the most.
_SETTLING_CALLS = 100
_AT_ONCE = 200
_SETTLED_TOGETHER = 20
#: Lists show the header of chords up to this size; of larger ones what is not counted, if that is no more.
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
        duration_buckets: tuple[float, ...] = DURATION_BUCKETS,
        options: Mapping[str, Any] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._redis = connect(url, client_name=client_name, options=options, timeout=timeout)
        self._line = Line(self._redis)
        self._client_name = client_name
        self._shown = shown_url(url)
        self._namespace, self._keys = namespace, Keys(namespace)
        self._arguments = (
            str(finished_retention),
            str(open_retention),
            str(int(store_max_mb * _MEGABYTE)),
            msgpack.packb(duration_buckets),
        )
        self._bounds = duration_buckets
        self._sha = ""
        self._names: dict[int, dict[int, str]] = {}
        self._unreadable: Counter[str] = Counter()
        self._kept = KeptChords()
        self._index = RedisIndex(lambda: self._client, self._keys, segments=self._segments, read=self._facts)
        self._judgements = RedisJudgements(
            lambda: self._client,
            self._keys,
            max_bytes=int(store_max_mb * _MEGABYTE) // 4,
            unreadable=self._unreadable,
        )

    @classmethod
    def for_app(
        cls, settings: Settings, app: Celery, *, client_name: str, timeout: float = TIMEOUT_SECONDS
    ) -> RedisStore:
        """Return the store that the settings name for `app`; it connects when it is first used.

        Raises:
            SettingError: neither broker nor result backend is Redis, and no other Redis is named.
        """
        url, options = store_url_of(settings.store_url, app.conf)
        return cls(
            url,
            client_name=client_name,
            namespace=settings.namespace,
            finished_retention=settings.finished_retention,
            open_retention=settings.open_retention,
            store_max_mb=settings.store_max_mb,
            duration_buckets=settings.duration_buckets,
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
            if found := self._read([pack_id(id)]):
                return found[0]
            nearest = self._index.nearest([id]).get(id)
        return read_chord(nearest, namespace=self._namespace) if nearest else None

    def chords(self, chord_ids: Iterable[str]) -> list[RecordedChord]:
        """Return those of the chords with these group ids that are recorded."""
        with reaching(self._shown):
            return self._read([pack_id(chord_id) for chord_id in chord_ids])

    def memberships(self, task_ids: Iterable[str]) -> dict[str, Membership]:
        """Return for those of these tasks that belong to a recorded chord which it is, and as what."""
        with reaching(self._shown):
            nearest = self._index.nearest(task_ids)
        return {task_id: membership_of(facts, task_id) for task_id, facts in nearest.items()}

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
            replies = replies_of(pipe)
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
        counters, unreadable = read_counters(fields.items(), self._bounds)
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
            replies = replies_of(pipe)
        found = [read_worker(fields if isinstance(fields, dict) else {}) for fields in replies if fields]
        self._unreadable["worker"] = found.count(None)
        return [worker for worker in found if worker]

    def connections(self) -> frozenset[tuple[str, str]] | None:
        """Return node and boot of the processes that are connected to the store.

        None where `CLIENT LIST` is refused, or does not even name this connection: a proxy stands between.
        """
        with reaching(self._shown):
            try:
                answer = self._line.send("CLIENT", "LIST", "TYPE", "normal")
            except redis.ResponseError:
                return None
        return connected(answer) if f" name={self._client_name} ".encode() in answer else None

    def judge(self, judgement: Judgement, *, keep: float) -> Judged:
        """Keep what was found of a chord for `keep` seconds, and return what it changes: one of several is told."""
        with reaching(self._shown):
            return self._judgements.judge(judgement, keep)

    def judgements(self, chord_ids: Iterable[str]) -> dict[str, Judgement]:
        """Return the last judgement of those of the chords with these group ids that have verdicts."""
        with reaching(self._shown):
            return self._judgements.read(chord_ids)

    def judged(self, limit: int) -> list[Judgement]:
        """Return the last judgements of chords that have verdicts, newest first."""
        return list(self.judgements(self.judged_ids()[:limit]).values())

    def judged_ids(self) -> list[str]:
        """Return the group ids of chords that have verdicts, newest first."""
        with reaching(self._shown):
            return self._judgements.ids()

    def post(self, name: str, content: bytes, *, keep: float, only_new: bool = False) -> bool:
        """Keep `content` under a name for `keep` seconds, for other processes to read; return whether it was kept."""
        with reaching(self._shown):
            return bool(
                self._client.set(self._keys.posted(name), content, px=_milliseconds(keep), nx=only_new)
            )

    def posted(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return what is kept under those of these names that have something."""
        asked = list(dict.fromkeys(names))
        with reaching(self._shown):
            found = self._client.mget([self._keys.posted(name) for name in asked]) if asked else []
        return {name: left for name, left in zip(asked, found, strict=True) if isinstance(left, bytes)}

    def state(self) -> StoreState:
        """Return how the store itself is. Asks INFO, because managed services refuse CONFIG."""
        with reaching(self._shown):
            versions = self._asked(self._client.smembers, self._keys.versions) or ()
            others = Counter(f"version {text(v)}" for v in versions if v != str(VERSION).encode())
            return read_state(self._client, self._keys, unreadable=self._unreadable | others)

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

    def _segments(self) -> list[int]:
        """Return the numbers of the segments that have chords, newest first."""
        fields = self._asked(self._client.hkeys, self._keys.meta) or ()
        return sorted((int(f[1:]) for f in fields if f[:1] == b"g" and f[1:].isdigit()), reverse=True)

    def _read(self, packed_ids: list[bytes], *, large_headers: bool = True) -> list[RecordedChord]:
        """Return the chords that are there and readable; a list leaves out headers that would take too long."""
        found = []
        for stored, detail in self._raw(packed_ids):
            recorded = self._kept.get(stored, detail)
            only_waiting = not large_headers and stored.top > _LISTED_HEADER
            if recorded is None and (facts := self._facts_of(stored, detail, only_waiting=only_waiting)):
                header = not facts.counted_left_out or len(facts.header) <= _LISTED_HEADER
                recorded = read_chord(facts, namespace=self._namespace, header=header)
                if not facts.counted_left_out:
                    self._kept.keep(stored, detail, recorded)
            if recorded:
                found.append(recorded)
        return found

    def _facts(self, packed_ids: list[bytes]) -> Iterator[ChordFacts]:
        for stored, detail in self._raw(packed_ids):
            if facts := self._facts_of(stored, detail, only_waiting=False):
                yield facts

    def _facts_of(
        self, stored: StoredChord, detail: dict[bytes, bytes], *, only_waiting: bool
    ) -> ChordFacts | None:
        facts = read_facts(stored, detail, self._names.get(stored.segment, {}), only_waiting=only_waiting)
        if facts is None:
            self._unreadable["chord"] += 1
        return facts

    def _raw(self, packed_ids: list[bytes]) -> Iterator[tuple[StoredChord, dict[bytes, bytes]]]:
        """Yield what the keys of these chords hold, many at a time, after the names that they use were read."""
        for start in range(0, len(packed_ids), _AT_ONCE):
            stored = self._stored(packed_ids[start : start + _AT_ONCE])
            details = self._details([chord for chord in stored if chord.has_detail])
            self._learn_names(stored)
            for chord in stored:
                yield chord, details.get(chord.packed_id, {})

    def _stored(self, packed_ids: list[bytes]) -> list[StoredChord]:
        pipe = self._client.pipeline(transaction=False)
        for packed_id in packed_ids:
            pipe.get(self._keys.chord(packed_id))
        stored = []
        for packed_id, value in zip(packed_ids, replies_of(pipe), strict=True):
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
            for chord, detail in zip(chords, replies_of(pipe), strict=True)
            if isinstance(detail, dict)
        }

    def _learn_names(self, chords: list[StoredChord]) -> None:
        """Read the names of segments; those that are known only grow, so a known number stays right."""
        segments = sorted({chord.segment for chord in chords})
        pipe = self._client.pipeline(transaction=False)
        for segment in segments:
            pipe.hgetall(self._keys(f"n:{segment}"))
        for segment, fields in zip(segments, replies_of(pipe), strict=True):
            if isinstance(fields, dict):
                self._names[segment] = {
                    int(field[1:]): text(name)
                    for field, name in fields.items()
                    if field[:1] == b"#" and field[1:].isdigit()
                }


def _end(limit: int | None) -> int:
    return -1 if limit is None else max(limit, 1) - 1


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
