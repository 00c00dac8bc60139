"""A shop on Django: SQLite, results through django-celery-results, Redis as broker and store."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.transports.elsewhere import Elsewhere
from tests.support.servers import Processes, RedisServer, run


class Shop(Elsewhere):
    """The Django project with its workers; `rows` reads its database."""

    folder = Path(__file__).parent / "project"

    def __init__(self, processes: Processes, redis: RedisServer, *, recorded: bool, **settings: Any) -> None:
        store = redis.url(2) if recorded else None
        super().__init__(processes, redis.url(0), "django-db", store=store, **settings)
        self.database = processes.folder / "shop.sqlite3"
        self.environment["SHOP_DATABASE"] = str(self.database)
        done = run(sys.executable, "manage.py", "migrate", "-v", "0", cwd=self.folder, env=self.environment)
        assert done.returncode == 0, done.stderr

    def rows(self, question: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return what the database answers; what it changes is kept."""
        connection = sqlite3.connect(self.database, timeout=20)
        try:
            with connection:
                return connection.execute(question, values).fetchall()
        finally:
            connection.close()


@pytest.fixture
def open_shop(processes: Processes, redis: RedisServer) -> Callable[..., Shop]:
    """Return a way to make the shop, recorded or bare."""
    return lambda **settings: Shop(processes, redis, **settings)
