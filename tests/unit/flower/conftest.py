"""Flower itself in this process, with our addresses, and a source that answers with what it was given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from celery import Celery
from flower import urls
from flower.app import Flower
from flower.options import options as flower_options
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.options import OptionParser

from chordwatch.board.memberships import Memberships
from chordwatch.flower import add_chords, format_task
from chordwatch.flower.known import Known
from chordwatch.store.protocol import Membership
from tests.unit.dashboards.dashboard_fakes import FakeSource


class FakeStore:
    """Answers with the chords of tasks that it was given, or raises; remembers its questions."""

    def __init__(self) -> None:
        self.members: dict[str, Membership] = {}
        self.questions: list[list[str]] = []
        self.error: Exception | None = None

    def memberships(self, task_ids: list[str]) -> Mapping[str, Membership]:
        """Answer one question."""
        self.questions.append(task_ids)
        if self.error:
            raise self.error
        return {task_id: self.members[task_id] for task_id in task_ids if task_id in self.members}


class InProcess:
    """A Flower that is asked over HTTP, and forgotten after each test."""

    def __init__(self, **options: Any) -> None:
        add_chords()
        parser = OptionParser()
        for option in flower_options._options.values():
            if option.name not in parser._options:
                parser.define(option.name, default=option.default, type=option.type, multiple=option.multiple)
        for name, value in {"format_task": format_task, **options}.items():
            setattr(parser, name, value)
        self.options = parser
        self.source, self.store = FakeSource(), FakeStore()
        self.tasks: list[tuple[str, str]] = []
        self.app = Celery("watched", broker="memory://", set_as_current=False)

    def get(self, *paths: str, **request: Any) -> list[HTTPResponse]:
        """Return Flower's answers, one after the other."""
        return asyncio.run(self._get(paths, request))

    async def _get(self, paths: tuple[str, ...], request: dict[str, Any]) -> list[HTTPResponse]:
        flower = Flower(capp=self.app, options=self.options, **urls.settings)
        known = Known(self.app)
        known.source = self.source  # type: ignore[assignment]  # what a page asks of it
        known._memberships = Memberships(self.store.memberships)
        flower.settings["chordwatch"] = known
        for at, (task_id, name) in enumerate(self.tasks):
            received = {"type": "task-received", "uuid": task_id, "name": name, "hostname": "w1@host"}
            flower.events.state.event(
                received | {"timestamp": 1000.0 + at, "local_received": 1000.0 + at, "clock": at, "pid": 1}
            )
        sockets = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(flower)
        server.add_sockets(sockets)
        port, client = sockets[0].getsockname()[1], AsyncHTTPClient(force_instance=True)
        try:
            return [
                await client.fetch(f"http://127.0.0.1:{port}{path}", raise_error=False, **request)
                for path in paths
            ]
        finally:
            client.close()
            server.stop()
            await server.close_all_connections()


@pytest.fixture
def flower() -> Callable[..., InProcess]:
    """Return a Flower with options."""
    return InProcess
