"""One set of runs for the whole session: a scene is brought about once for all its cases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.runs import Runs


@pytest.fixture(scope="session")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """The scenes that were brought about so far; long ones that are wanted have begun."""
    runs = Runs(tmp_path_factory.mktemp)
    wanted = (item.callspec.params for item in request.session.items if hasattr(item, "callspec"))
    runs.begin((params["case"], params["mode"]) for params in wanted if {"case", "mode"} <= params.keys())
    yield runs
    runs.close()
