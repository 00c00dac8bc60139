from __future__ import annotations

from typing import Any

import pytest

from chordwatch.evidence.budget import Gaps
from chordwatch.evidence.servers import read_server

OOM = {"errorstat_OOM": {"count": 3}, "errorstat_ERR": {"count": 9}}


class Client:
    """A Redis that answers INFO, a section at a time."""

    def __init__(self, **sections: dict[str, Any]) -> None:
        self._sections, self._asked = sections, list[str]()

    def pipeline(self, *, transaction: bool) -> Client:
        """Return itself."""
        assert not transaction
        return self

    def info(self, section: str) -> None:
        """Note what is asked."""
        self._asked.append(section)

    def execute(self, *, raise_on_error: bool) -> list[dict[str, Any]]:
        """Answer all that was asked."""
        assert not raise_on_error
        return [self._sections.get(section, {}) for section in self._asked]


@pytest.mark.parametrize(
    ("version", "errors", "expected"),
    [
        ("7.2.4", OOM, {"OOM": 3}),
        ("6.2.14", {}, {}),
        ("7", {}, {}),
        ("6.0.16", {}, None),
        ("garbage", {}, None),
    ],
)
def test_what_a_redis_refused_is_known_where_it_counts_it(
    version: str, errors: dict[str, Any], expected: dict[str, int] | None
) -> None:
    server = read_server(
        Client(server={"redis_version": version}, errorstats=errors), "result backend", "redis://", Gaps()
    )
    refused = server.refused

    assert (refused if refused is None else {kind: n for kind, n in refused.items() if n}) == expected
