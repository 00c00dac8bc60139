from __future__ import annotations

import json
import pickle
import zlib
from types import SimpleNamespace
from typing import Any

import pytest
from celery import chain, chord, group

from chordwatch.evidence.budget import Gaps
from chordwatch.evidence.decode import MAX_BYTES
from chordwatch.evidence.messages import MessageReader
from tests.unit.canvases import add, collect, publish, report, with_body


def pair() -> tuple[Any, list[dict[str, Any]]]:
    return publish(chord([add.s(1, 1), add.s(2, 2)], collect.s()))


def callback_of(header: dict[str, Any], task_id: str) -> dict[str, Any]:
    """Return the callback's message as the worker that counts the last part sends it."""
    headers = {"id": task_id, "task": "project.collect", "group_index": None}
    return with_body(header, b'[[[1]], {}, {"chord": null}]', **headers)


def read(message: object, reader: MessageReader) -> Any:
    return reader.read(json.dumps(message), "celery")


def test_a_header_message_tells_its_chord_its_index_and_the_callback() -> None:
    result, messages = pair()
    reader = MessageReader(Gaps())

    first, second = (read(message, reader) for message in messages)

    assert first.task_id == messages[0]["headers"]["id"]
    assert (first.name, first.queue, first.index, second.index) == ("project.add", "celery", 0, 1)
    assert first.group_id == second.group_id == messages[0]["headers"]["group"]
    assert first.body.task_id == second.body.task_id == result.id
    assert (first.root_id, first.parent_id, first.attempt, first.eta) == (first.task_id, None, 0, None)


def test_a_retry_tells_its_attempt_and_its_eta() -> None:
    _, (message, _) = pair()
    message["headers"] |= {"retries": 1, "eta": "2026-11-20T17:29:36.749950+00:00"}

    seen = read(message, MessageReader(Gaps()))

    assert (seen.attempt, seen.eta) == (1, 1795195776.74995)


def test_the_callback_embeds_nothing_even_after_its_header_was_read() -> None:
    _, (header, _) = pair()
    reader = MessageReader(Gaps())

    assert read(header, reader).body is not None
    callback = read(callback_of(header, "body"), reader)

    assert (callback.task_id, callback.index, callback.body) == ("body", None, None)


def test_a_header_message_read_after_its_callback_still_tells_it() -> None:
    result, (header, _) = pair()
    reader = MessageReader(Gaps())

    assert read(callback_of(header, "body"), reader).body is None
    assert read(header, reader).body.task_id == result.id


def test_a_plain_group_embeds_no_callback() -> None:
    _, messages = publish(group(add.s(1, 1), add.s(2, 2)))

    assert [read(message, MessageReader(Gaps())).body for message in messages] == [None, None]


def test_the_first_step_of_a_chain_in_the_header_is_named_as_carrier() -> None:
    _, messages = publish(chord([chain(add.s(1, 1), report.s()), add.s(3, 3)], collect.s()))
    reader = MessageReader(Gaps())

    first = read(messages[0], reader)

    (part,) = reader.parts.values()
    assert first.group_id is None
    assert reader.carriers == {first.task_id}
    assert part.carrier_id == first.task_id
    assert first.chain_ids == (part.task_id,)


def before(canvas: Any) -> tuple[str, list[dict[str, Any]]]:
    """Return the id of the step behind a chord in a chain, and the messages a worker sends when it gets there."""
    step = report.s()
    held = step.freeze().id
    _, messages = publish(SimpleNamespace(apply_async=lambda: canvas.apply_async(chain=[step])))
    return held, messages


def test_what_follows_a_chord_in_its_chain_is_told_by_its_header() -> None:
    held, messages = before(chord([add.s(1, 1), add.s(2, 2)], collect.s()))

    first = read(messages[0], MessageReader(Gaps()))

    assert first.chain_ids == (held,)
    assert held not in first.body.ids


def test_what_follows_a_chord_is_told_by_the_carrier_of_its_part() -> None:
    held, messages = before(chord([chain(add.s(1, 1), report.s()), add.s(2, 2)], collect.s()))
    reader = MessageReader(Gaps())

    first = read(messages[0], reader)

    assert first.chain_ids == (*reader.parts, held)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"not JSON", "damaged message"),
        (b"\xff\xfe", "damaged message"),
        (b"[" * 100_000, "damaged message"),
        (b"", "damaged message"),
        (b"null", "message that is no Celery task (protocol 2)"),
        (b'{"foreign": 1}', "message that is no Celery task (protocol 2)"),
        (b'{"headers": {}}', "message that is no Celery task (protocol 2)"),
        (b'{"headers": [], "body": ""}', "message that is no Celery task (protocol 2)"),
        (b'{"headers": {"id": 7, "task": "a"}}', "message that is no Celery task (protocol 2)"),
        (b" " * (MAX_BYTES + 1), "oversized message"),
    ],
    ids=lambda value: repr(value[:16]),
)
def test_what_is_no_task_message_is_skipped_and_counted(raw: bytes, why: str) -> None:
    gaps = Gaps()

    assert MessageReader(gaps).read(raw, "celery") is None
    assert gaps.lines() == (f"Skipped 1 × {why}.",)


def test_a_pickled_body_is_not_loaded_and_the_headers_still_count() -> None:
    _, (header, _) = pair()
    gaps = Gaps()
    pickled = with_body(header, pickle.dumps(([], {}, {})))
    pickled["content-type"] = "application/x-python-serialize"

    seen = read(pickled, MessageReader(gaps))

    assert (seen.index, seen.body) == (0, None)
    assert gaps.lines() == ("Skipped 1 × pickled message body.",)


def test_a_pickle_under_a_false_flag_is_not_loaded() -> None:
    _, (header, _) = pair()
    gaps = Gaps()

    assert read(with_body(header, pickle.dumps(([], {}, {}))), MessageReader(gaps)).body is None
    assert gaps.lines() == ("Skipped 1 × pickled payload.",)


def test_a_compressed_body_is_read() -> None:
    result, (header, _) = pair()
    body = json.dumps([[], {}, {"chord": {"task": "c", "options": {"task_id": result.id}}}]).encode()
    compressed = with_body(header, zlib.compress(body), compression="application/x-gzip")

    assert read(compressed, MessageReader(Gaps())).body.task_id == result.id


@pytest.mark.parametrize(
    ("body", "encoding"),
    [("%%%", "base64"), ("{", None), ("[1, 2]", None), ("[[], {}, 7]", None), (5, None), (None, "base64")],
)
def test_a_damaged_body_leaves_what_the_headers_tell(body: object, encoding: str | None) -> None:
    _, (header, _) = pair()
    header |= {"body": body, "properties": {"body_encoding": encoding}}

    seen = read(header, MessageReader(Gaps()))

    assert (seen.index, seen.body) == (0, None)


def test_headers_of_wrong_types_are_none() -> None:
    hostile = {"id": "h0", "task": ["a"], "group": 7, "group_index": "1", "retries": "x", "eta": 3}

    seen = read({"headers": hostile, "body": "[[], {}, {}]"}, MessageReader(Gaps()))

    assert (seen.name, seen.group_id, seen.index, seen.attempt, seen.eta) == (None, None, None, 0, None)


def test_a_delivered_message_is_found_by_its_routing_key() -> None:
    _, (header, _) = pair()
    entry = json.dumps([header, "exchange", "low"])

    seen = MessageReader(Gaps()).read_unacked(entry, {"low": "queue-low"}.__getitem__, 12.5)

    assert seen is not None
    assert (seen.queue, seen.unacked, seen.delivered_at) == ("queue-low", True, 12.5)


@pytest.mark.parametrize("routing_key", ["", None, 7])
def test_without_a_routing_key_the_exchange_leads_to_the_queue(routing_key: object) -> None:
    _, (header, _) = pair()

    seen = MessageReader(Gaps()).read_unacked(json.dumps([header, "celery", routing_key]), str, None)

    assert seen is not None
    assert seen.queue == "celery"


@pytest.mark.parametrize("raw", ["", "{}", "[]", "[1, 2]", "[1, 2, 3, 4]", "not JSON", "7"])
def test_an_unacked_entry_of_another_shape_is_damaged(raw: str) -> None:
    gaps = Gaps()

    assert MessageReader(gaps).read_unacked(raw, str, None) is None
    assert gaps.lines() == ("Skipped 1 × damaged message.",)


def test_an_oversized_unacked_entry_is_not_parsed() -> None:
    gaps = Gaps()

    assert MessageReader(gaps).read_unacked(" " * (MAX_BYTES + 1), str, None) is None
    assert gaps.lines() == ("Skipped 1 × oversized message.",)


def test_an_unacked_entry_of_right_shape_without_a_message_is_no_task() -> None:
    gaps = Gaps()

    assert MessageReader(gaps).read_unacked('["text", "celery", "celery"]', str, None) is None
    assert gaps.lines() == ("Skipped 1 × message that is no Celery task (protocol 2).",)


def test_what_is_marked_as_a_callbacks_is_a_carrier_though_it_has_no_group() -> None:
    _, (message, _) = pair()
    step = with_body(message, b"[[1], {}, {}]", id="step", group=None, group_index=None, chordwatch="chord")
    reader = MessageReader(Gaps())

    assert read(step, reader).group_id is None
    assert reader.carriers == {"step"}
