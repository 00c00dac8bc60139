from __future__ import annotations

import bz2
import lzma
import pickle
import time
import zlib
from collections.abc import Iterator
from datetime import datetime, timezone

import msgpack
import pytest
from celery.backends.base import COMPRESSED_PAYLOAD_MAGIC

from chordwatch import foreign
from chordwatch.evidence import decode
from chordwatch.evidence.decode import MAX_BYTES, UndecodableError

META = b'{"status": "SUCCESS", "result": 2}'
STORED = {"status": "SUCCESS", "result": 2}


class Bomb:
    """Unpickling it would be seen."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("unpickled",)


def packed(content_type: str, data: bytes) -> bytes:
    return COMPRESSED_PAYLOAD_MAGIC + content_type.encode() + b"\x00" + data


def test_json_is_read() -> None:
    assert decode.load(META) == STORED


def test_msgpack_is_read() -> None:
    assert decode.load(msgpack.packb(STORED)) == STORED


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("application/x-gzip", zlib.compress(META)),
        ("application/zlib", zlib.compress(META)),
        ("application/x-bz2", bz2.compress(META)),
        ("application/x-lzma", lzma.compress(META)),
    ],
)
def test_a_result_that_celery_compressed_is_read(content_type: str, data: bytes) -> None:
    assert decode.load(packed(content_type, data)) == STORED


def test_compressed_msgpack_is_read() -> None:
    assert decode.load(packed("application/x-gzip", zlib.compress(msgpack.packb(STORED)))) == STORED


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_never_loaded(protocol: int) -> None:
    with pytest.raises(UndecodableError):
        decode.load(pickle.dumps(Bomb(), protocol=protocol))


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_pickle_is_called_by_its_name(protocol: int) -> None:
    with pytest.raises(UndecodableError, match=r"^pickled payload$"):
        decode.load(pickle.dumps(STORED, protocol=protocol))


def test_a_compressed_pickle_is_never_loaded() -> None:
    with pytest.raises(UndecodableError, match=r"^pickled payload$"):
        decode.load(packed("application/x-gzip", zlib.compress(pickle.dumps(Bomb()))))


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("application/x-gzip", zlib.compress(bytes(MAX_BYTES + 1))),
        ("application/x-bz2", bz2.compress(bytes(MAX_BYTES + 1))),
        ("application/x-lzma", lzma.compress(bytes(MAX_BYTES + 1))),
    ],
)
def test_a_compression_bomb_is_not_unpacked_to_its_end(content_type: str, data: bytes) -> None:
    with pytest.raises(UndecodableError, match=r"^oversized payload$"):
        decode.load(packed(content_type, data))


def test_a_forged_dictionary_size_takes_no_memory() -> None:
    forged = bytearray(lzma.compress(META, format=lzma.FORMAT_ALONE))
    forged[1:5] = (0x60000000).to_bytes(4, "little")  # 1.5 GiB

    with pytest.raises(UndecodableError, match=r"^damaged compressed payload$"):
        decode.decompress(bytes(forged), "application/x-lzma")


def test_an_unknown_compression_is_said() -> None:
    with pytest.raises(UndecodableError, match=r"^payload with an unknown compression$"):
        decode.load(packed("application/zstd", META))


@pytest.mark.parametrize(
    "data",
    [
        META[:-1],
        b"",
        b"OK",
        b'{"a": ' * 20_000,
        b"[" * 100_000,
        b"\x91" * 100_000,
        b'{"status": "\xff\xfe"}',
        b"\xdd\xff\xff\xff\xff",
        packed("application/x-gzip", b"no zlib"),
        packed("application/x-gzip", zlib.compress(META)[:-12]),
        packed("application/x-bz2", b"no bz2"),
        packed("application/x-lzma", b"no lzma"),
        COMPRESSED_PAYLOAD_MAGIC,
        packed("\x80", b""),
    ],
    ids=lambda data: repr(data[:24]),
)
def test_damaged_data_is_an_error_of_our_own(data: bytes) -> None:
    with pytest.raises(UndecodableError):
        decode.load(data)


UTC_NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc).timestamp()


@pytest.fixture
def _far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_far_from_utc")
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-20T12:00:00", UTC_NOON),
        ("2026-11-20T12:00:00+00:00", UTC_NOON),
        ("2026-11-20T13:00:00+01:00", UTC_NOON),
        ("2026-11-20T12:00:00Z", UTC_NOON),
        ("2026-11-20T12:00:00.250000+00:00", UTC_NOON + 0.25),
    ],
)
def test_a_time_without_zone_is_utc_as_celery_writes_it(text: str, seconds: float) -> None:
    assert foreign.as_time(text) == seconds


@pytest.mark.parametrize("value", [None, 0, "", "soon", "2026-13-01T00:00:00", ["2026-11-20"], b"2026-11-20"])
def test_what_is_no_time_is_none(value: object) -> None:
    assert foreign.as_time(value) is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_that_no_clock_can_show_is_none(text: str) -> None:
    assert foreign.as_time(text) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(12.5, 12.5), (12, None), (float("inf"), None), (float("nan"), None), (1e18, None), ("12.5", None)],
)
def test_only_seconds_that_a_clock_can_show_are_a_moment(value: object, seconds: float | None) -> None:
    assert foreign.as_moment(value) == seconds


@pytest.mark.parametrize(
    ("value", "number"),
    [(b"2", 2), ("2", 2), (b"", None), (None, None), (b"two", None), (b"2.5", None), (2, None)],
)
def test_a_stored_number_is_read_from_text_only(value: object, number: int | None) -> None:
    assert decode.number(value) == number


@pytest.mark.parametrize(
    ("value", "number"),
    [(2, 2), (2.0, 2), (2.5, None), (True, None), ("2", None), (None, None), (float("inf"), None)],
)
def test_a_whole_number_is_an_int(value: object, number: int | None) -> None:
    assert foreign.as_int(value) == number


def test_a_dict_with_keys_that_are_no_text_counts_as_empty() -> None:
    assert foreign.as_dict({1: 2}) == {}
    assert foreign.as_dict([1]) == {}
    assert foreign.as_dict({"a": 1}) == {"a": 1}


def test_a_key_that_is_no_utf8_survives_the_way_there_and_back() -> None:
    assert decode.as_bytes(decode.decoded(b"queue-\xff")) == b"queue-\xff"
