from __future__ import annotations

import json
import pickle
from typing import Any

import msgpack
import pytest
from celery.app.task import Context

from chordwatch.evidence import backend_metas
from chordwatch.evidence.backend_metas import WHOLE_BYTES, Payload
from chordwatch.evidence.budget import Gaps
from chordwatch.evidence.facts import Launch
from tests.unit.canvases import app


class FakeRedis:
    """Strings under keys, with the few commands that reading results needs; it is its own pipeline."""

    def __init__(self, strings: dict[bytes, bytes]) -> None:
        self.strings = strings
        self.fetched: list[str] = []
        self._answers: list[Any] = []

    def pipeline(self, *, transaction: bool) -> FakeRedis:
        """Return itself."""
        assert not transaction
        return self

    def strlen(self, key: bytes) -> FakeRedis:
        """Queue the length of a string."""
        return self._answer(len(self.strings.get(key, b"")))

    def get(self, key: bytes) -> FakeRedis:
        """Queue a string, and note that it was fetched whole."""
        self.fetched.append("get")
        return self._answer(self.strings.get(key))

    def getrange(self, key: bytes, start: int, end: int) -> FakeRedis:
        """Queue a piece of a string, and note it."""
        self.fetched.append("getrange")
        return self._answer(self.strings[key][start : None if end == -1 else end + 1])

    def execute(self, *, raise_on_error: bool) -> list[Any]:
        """Return the queued answers."""
        assert not raise_on_error
        answers, self._answers = self._answers, []
        return answers

    def _answer(self, answer: Any) -> FakeRedis:
        self._answers.append(answer)
        return self


def stored(result: object, state: str = "SUCCESS", **request: Any) -> bytes:
    """Return a result as Celery encodes it for Redis."""
    context = Context(id="h0", **request)
    meta = app.backend._get_result_meta(result, state, None, context, encode=True)
    return str(app.backend.encode(meta)).encode()


def parsed(data: bytes, gaps: Gaps | None = None) -> Any:
    """Return what is read of a result of this size."""
    payload = backend_metas.fetch(FakeRedis({b"key": data}), [b"key"])[0]
    return backend_metas.parse("h0", payload, gaps or Gaps())


def test_a_result_tells_state_time_and_family() -> None:
    meta = parsed(stored(2, group="group", parent_id="parent"))

    assert (meta.task_id, meta.state, meta.group_id, meta.parent_id) == ("h0", "succeeded", "group", "parent")
    assert meta.finished_at is not None
    assert (meta.error_type, meta.error) == (None, None)


def test_a_failure_tells_its_error() -> None:
    error = {"exc_type": "ValueError", "exc_message": ["header boom"], "exc_module": "builtins"}

    meta = parsed(stored(error, "FAILURE", group="group"))

    assert (meta.state, meta.error_type, meta.error) == ("failed", "ValueError", "ValueError: header boom")


def test_a_success_that_looks_like_an_error_is_none() -> None:
    meta = parsed(stored({"exc_type": "ValueError", "exc_message": ["no"]}))

    assert (meta.state, meta.error) == ("succeeded", None)


def test_a_started_task_tells_who_runs_it() -> None:
    meta = parsed(stored({"pid": 24949, "hostname": "w1@zoo"}, "STARTED", group="group"))

    assert (meta.state, meta.worker, meta.finished_at) == ("started", "w1@zoo", None)


def test_the_result_of_a_finished_task_names_no_worker() -> None:
    assert parsed(stored({"pid": 1, "hostname": "mine"})).worker is None


def test_an_extended_result_tells_name_worker_attempt_and_queue() -> None:
    more = {"name": "zoo.add", "worker": "w1@zoo", "retries": 2, "queue": "low"}

    meta = parsed(json.dumps({"status": "SUCCESS", "result": 1, **more}).encode())

    assert (meta.name, meta.worker, meta.attempt, meta.queue) == ("zoo.add", "w1@zoo", 2, "low")


def test_children_are_the_tasks_and_the_groups_that_the_task_sent() -> None:
    children = [[["errback", None], None], [["group", None], [[["h0", None], None], [["h1", None], None]]]]

    meta = parsed(json.dumps({"status": "SUCCESS", "result": 1, "children": children}).encode())

    assert meta.children == ("errback", "h0", "h1")
    assert meta.launches == (Launch(group_id="group", task_ids=("h0", "h1")),)


def test_a_result_in_msgpack_is_read() -> None:
    assert (
        parsed(msgpack.packb({"status": "SUCCESS", "result": b"\xff", "group_id": "group"})).group_id
        == "group"
    )


def test_a_state_of_the_users_own_is_one_of_a_running_task() -> None:
    assert parsed(stored({"done": 3}, "PROGRESS")).state == "started"


@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE"])
def test_of_a_large_result_only_the_ends_are_fetched(state: str) -> None:
    data = stored("x" * WHOLE_BYTES, state, group="group", parent_id="parent")
    redis = FakeRedis({b"key": data})

    payload = backend_metas.fetch(redis, [b"key"])[0]
    meta = backend_metas.parse("h0", payload, Gaps())

    assert redis.fetched == ["getrange", "getrange"]
    assert meta is not None
    assert meta.state == {"SUCCESS": "succeeded", "FAILURE": "failed"}[state]
    assert (meta.group_id, meta.parent_id) == ("group", "parent")
    assert meta.finished_at is not None


def test_a_large_result_that_quotes_another_one_is_not_mistaken() -> None:
    quoted = json.loads(stored(1, group="another"))

    assert parsed(stored(["x" * WHOLE_BYTES, quoted], group="group")).group_id == "group"


def test_a_large_result_without_a_group_has_none() -> None:
    meta = parsed(stored("x" * WHOLE_BYTES))

    assert (meta.group_id, meta.parent_id) == (None, None)
    assert meta.finished_at is not None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"status": 7}', "foreign result"),
        (b'{"foreign": 1}', "foreign result"),
        (b"[1, 2]", "foreign result"),
        (b'{"status": "SUCC', "damaged result"),
        (b"\xc1", "result in an unknown format"),
        (pickle.dumps({"status": "SUCCESS"}), "pickled result"),
        (b"x" * (WHOLE_BYTES + 1), "oversized result"),
        (msgpack.packb({"status": "SUCCESS", "result": "x" * WHOLE_BYTES}), "oversized result"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_no_result_is_skipped_and_counted(data: bytes, why: str) -> None:
    gaps = Gaps()

    assert parsed(data, gaps) is None
    assert gaps.lines() == (f"Skipped 1 × {why}.",)


def test_an_absent_result_is_nothing_to_count() -> None:
    gaps = Gaps()

    assert backend_metas.fetch(FakeRedis({}), [b"a", b"b"]) == [None, None]
    assert backend_metas.parse("h0", None, gaps) is None
    assert gaps.lines() == ()


def test_without_keys_redis_is_not_asked() -> None:
    assert backend_metas.fetch(None, []) == []


def test_small_and_large_and_absent_results_keep_their_places() -> None:
    large = stored("x" * WHOLE_BYTES)
    redis = FakeRedis({b"small": b"{}", b"large": large})

    small, absent, ends = backend_metas.fetch(redis, [b"small", b"absent", b"large"])

    assert (small, absent) == (Payload(b"{}"), None)
    assert ends is not None
    assert (ends.head, ends.tail) == (large[:256], large[-4096:])


def test_a_result_value_is_given_whole_or_not_at_all() -> None:
    gaps = Gaps()

    assert backend_metas.result_of(Payload(b'{"result": [1, 2]}'), gaps) == [1, 2]
    assert backend_metas.result_of(Payload(b"{", b"}"), gaps) is None
    assert backend_metas.result_of(None, gaps) is None
    assert gaps.lines() == ()
    assert backend_metas.result_of(Payload(b"{"), gaps) is None
    assert gaps.lines() == ("Skipped 1 × damaged result.",)
