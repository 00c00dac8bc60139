"""Every command that a Redis is sent, read with `MONITOR`: what was published, and what Celery counted."""

from __future__ import annotations

import base64
import codecs
import json
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

#: How the delivery tag begins of a message that the test delivered a second time.
COPY = "copy-"
GROUP = "celery-taskset-meta-"

_ARGUMENT = re.compile(rb'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Message:
    """A message of a task on its way to a queue. `chord` and `chain` are signatures as Celery serialises them."""

    queue: str
    raw: dict[str, Any]
    at: float  # Unix seconds of Redis

    @property
    def headers(self) -> dict[str, Any]:
        """The message's headers."""
        return self.raw["headers"]

    @property
    def id(self) -> str:
        """The task's id."""
        return str(self.headers["id"])

    @property
    def name(self) -> str:
        """The task's name."""
        return str(self.headers["task"])

    @property
    def group(self) -> str | None:
        """The group id it belongs to."""
        return self.headers["group"]

    @property
    def copied(self) -> bool:
        """Whether the test itself delivered it, a second time."""
        return str(self.raw["properties"]["delivery_tag"]).startswith(COPY)

    @property
    def plan(self) -> dict[str, Any]:
        """What the task is to do; empty for Celery's own tasks."""
        return self._body[1].get("plan", {})

    @property
    def chord(self) -> dict[str, Any] | None:
        """The callback of the chord that it is a part of."""
        return self._body[2]["chord"]

    @property
    def chain(self) -> list[dict[str, Any]]:
        """The steps that follow, the next one last."""
        return self._body[2]["chain"] or []

    def told(self) -> str:
        """Return the message in a line, for a failed test."""
        names = (
            "id",
            "task",
            "group",
            "group_index",
            "retries",
            "replaced_task_nesting",
            "parent_id",
            "chordwatch",
        )
        headers = " ".join(
            f"{name}={self.headers[name]}" for name in names if self.headers.get(name) is not None
        )
        callback = self.chord["options"].get("task_id") if self.chord else None
        chain = [f"{step['task']} {step['options'].get('task_id')}" for step in self.chain]
        return f"{'copy' if self.copied else 'message'} {headers} does={self.plan.get('do')} {callback=} {chain=}"

    @property
    def _body(self) -> Any:
        return json.loads(base64.b64decode(self.raw["body"]))


@dataclass
class Counting:
    """What Celery wrote down about one chord."""

    size: int | None = None
    added: int = 0
    parts: dict[str, str] = field(default_factory=dict)  # state by task id, as it was counted


class Wiretap:
    """Listens from its start until it is closed; `on_message` is called in its thread."""

    def __init__(self, port: int, on_message: Callable[[Message], None]) -> None:
        self.messages: list[Message] = []
        self.countings: dict[str, Counting] = {}
        self.commands = 0
        self._on_message = on_message
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._lines = self._socket.makefile("rb")
        self._socket.sendall(b"MONITOR\r\n")
        assert self._lines.readline() == b"+OK\r\n"
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._lines.close()
        self._socket.close()

    def _listen(self) -> None:
        for line in self._lines:
            command, *arguments = [codecs.escape_decode(part)[0] for part in _ARGUMENT.findall(line)]
            at = float(line[1:].split(b" ", 1)[0])
            self._heard(at, command.upper(), [argument.decode(errors="replace") for argument in arguments])

    def _heard(self, at: float, command: bytes, arguments: list[str]) -> None:
        if command == b"LPUSH" and '"task"' in arguments[1]:
            self.commands += 1
            message = Message(arguments[0], json.loads(arguments[1]), at)
            self.messages.append(message)
            self._on_message(message)
        elif arguments and arguments[0].startswith(GROUP):
            self.commands += 1
            self._counted(command, *arguments)

    def _counted(self, command: bytes, key: str, *arguments: str) -> None:
        chord_id, _, kind = key.removeprefix(GROUP).rpartition(".")
        match command, kind:
            case b"SET", "s":
                self._counting(chord_id).size = int(arguments[0])
            case b"INCR" | b"INCRBY", "t":
                self._counting(chord_id).added += 1
            case b"ZADD", "j":
                _, task_id, state, _ = json.loads(arguments[1])
                self._counting(chord_id).parts[task_id] = state

    def _counting(self, chord_id: str) -> Counting:
        return self.countings.setdefault(chord_id, Counting())
