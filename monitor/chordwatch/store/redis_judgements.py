"""Judgements in Redis: one script keeps one and says what it changes, readers ask for those they want."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import cast

import redis

from chordwatch.recording.records import pack_id, unpack_id
from chordwatch.store.connect import replies_of
from chordwatch.store.judgements import (
    MAX_JUDGEMENTS,
    causes_of,
    label_text,
    pack_judgement,
    read_judgement,
    repeats_callback,
)
from chordwatch.store.keys import Keys
from chordwatch.store.protocol import Judged, Judgement
from chordwatch.store.rows import text
from chordwatch.store.script import judge_script

_AT_ONCE = 200


class RedisJudgements:
    """The judgements of one namespace, at most `max_bytes` of them. Raises what redis-py raises.

    `client` returns the store's client; what cannot be read is counted in `unreadable`.
    """

    def __init__(
        self, client: Callable[[], redis.Redis], keys: Keys, *, max_bytes: int, unreadable: Counter[str]
    ) -> None:
        self._client, self._keys = client, keys
        self._max_bytes, self._unreadable = max_bytes, unreadable

    def judge(self, judgement: Judgement, keep: float) -> Judged:
        """Keep a judgement for `keep` seconds, and return what it changes."""
        chord, causes = judgement.chord, causes_of(judgement.chord)
        packed = pack_judgement(judgement) if causes else b""
        new, gone = cast(
            "tuple[list[bytes], list[bytes]]",
            self._client().eval(
                judge_script(),
                1,
                self._keys.meta,
                *(pack_id(chord.chord_id), repr(judgement.at), packed, repr(keep)),
                *(MAX_JUDGEMENTS, self._max_bytes, _encoded(label_text(chord.callback.name) or "")),
                int(repeats_callback(chord)),
                *(_encoded(word) for pair in causes.items() for word in pair),
            ),
        )
        return Judged(tuple(map(text, new)), tuple(map(text, gone)))

    def read(self, chord_ids: Iterable[str]) -> dict[str, Judgement]:
        """Return the last judgement of those of the chords with these group ids that have verdicts."""
        ids, found = list(dict.fromkeys(chord_ids)), {}
        for start in range(0, len(ids), _AT_ONCE):
            asked = ids[start : start + _AT_ONCE]
            pipe = self._client().pipeline(transaction=False)
            for chord_id in asked:
                pipe.hget(self._keys(b"v:" + pack_id(chord_id)), "told")
            for chord_id, packed in zip(asked, replies_of(pipe), strict=True):
                judgement = read_judgement(packed) if isinstance(packed, bytes) else None
                if judgement:
                    found[chord_id] = judgement
                elif packed:
                    self._unreadable["judgement"] += 1
        return found

    def ids(self) -> list[str]:
        """Return the group ids of chords that have verdicts, newest first."""
        pipe = self._client().pipeline(transaction=False)
        pipe.hgetall(self._keys("sizes"))
        pipe.zrevrange(self._keys("judged"), 0, -1)
        sizes, newest_first = replies_of(pipe)
        if not (isinstance(sizes, dict) and isinstance(newest_first, list)):
            return []
        return [unpack_id(packed_id) for packed_id in newest_first if sizes.get(packed_id, b"0") != b"0"]


def _encoded(word: str) -> bytes:
    return word.encode("utf-8", "surrogatepass")
