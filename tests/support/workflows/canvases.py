"""Random workflows as JSON, made from a seed alone: the same seed gives the same workflow on every machine.

A node is a task's plan, or `{"shape": "chain" | "group" | "chord", "tasks": [...], "body": ...}`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random
from typing import Any

Node = dict[str, Any]

#: Time for the workers to be told that a task is revoked, before its time comes.
REVOKED_BEFORE = 1.0
PARTS = ("alpha", "beta", "gamma")
CALLBACKS = ("collect", "report")
#: How often a task does something else than to succeed at once.
MISCHIEF = 0.2
DEEPEST = 2


class Author:
    """Makes one workflow after the other from one source of randomness."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._labels: Iterator[int] = itertools.count(1)

    def workflow(self) -> Node:
        """Return a workflow with at least one chord."""
        pick = self._random.choice
        return pick(
            [
                self.chord,
                self.chord,
                self.chord,
                lambda: _chain(self.part(), self.chord()),
                lambda: _chain(self.chord(), self.part(), self.part()),
                lambda: _chain(self.part(), self._group(2, 5), self.callback()),
                lambda: _chain(self._group(2, 5), self.callback()),
            ]
        )()

    def chord(self, depth: int = 0) -> Node:
        """Return a chord; the deeper, the smaller."""
        most = 12 if depth == 0 else 3
        members = [self.member(depth + 1) for _ in range(self._random.randint(1, most))]
        if any(map(_holds_group, members)):
            members = [_calm(member) for member in members]
        return {"shape": "chord", "tasks": members, "body": self.body(depth + 1)}

    def member(self, depth: int) -> Node:
        """Return a member of a header."""
        if depth > DEEPEST or self._random.random() < 0.8:
            return self.part()
        return self._random.choice(
            [
                lambda: _chain(self.part(), self.part()),
                lambda: self._group(2, 3),
                lambda: self.chord(depth),
                lambda: _chain(self.part(), self.chord(depth)),
                lambda: _chain(self.part(), self._group(2, 2)),
                lambda: _chain(self._group(2, 2), self.callback()),
            ]
        )()

    def body(self, depth: int) -> Node:
        """Return what a chord calls at its end."""
        if depth > DEEPEST or self._random.random() < 0.7:
            return self.callback()
        return self._random.choice(
            [
                lambda: _chain(self.callback(), self.part()),
                lambda: _chain(self.callback(), self.part(), self.part()),
                lambda: self._group(2, 3),
                lambda: self.chord(depth),
            ]
        )()

    def part(self) -> Node:
        """Return a task of a header, or of a chain."""
        return self._task(PARTS, ["ignore", "grow", "revoke", "overrun", "expire", "reject"])

    def callback(self) -> Node:
        """Return a task that is called with results."""
        return self._task(CALLBACKS, [])

    def _group(self, least: int, most: int) -> Node:
        return {"shape": "group", "tasks": [self.part() for _ in range(self._random.randint(least, most))]}

    def _task(self, names: tuple[str, ...], rare: list[str]) -> Node:
        plan = self._plain(names)
        if self._random.random() > MISCHIEF:
            return plan
        deed = self._random.choice(["fail", "copy", "retry", "retry", "replace", "replace", *rare])
        return plan | self._mischief(deed)

    def _plain(self, names: tuple[str, ...] = PARTS) -> Node:
        return {
            "do": "succeed",
            "name": self._random.choice(names),
            "label": next(self._labels),
            "seconds": self._random.choice([0.0, 0.0, 0.01, 0.05]),
        }

    def _mischief(self, deed: str) -> Node:
        if deed == "retry":
            return {"do": "retry", "times": self._random.randint(1, 3), "fails": self._random.random() < 0.3}
        if deed in ("replace", "grow"):
            by = self._random.choice(["task", "group", "chord"])
            then = [self._plain() for _ in range(1 if by == "task" else 2)]
            return {"do": deed, "by": by, "then": then, "body": self._plain(CALLBACKS)}
        return {
            "copy": {"copy": True},
            "revoke": {"revoke": True, "options": {"countdown": REVOKED_BEFORE}},
            "overrun": {"do": "overrun", "options": {"soft_time_limit": 0.2, "queue": "limited"}},
            "expire": {"options": {"expires": -1}},
        }.get(deed, {"do": deed})


def task(label: int, name: str = "alpha", **plan: Any) -> Node:
    """Return a task that a test plans itself; it succeeds unless told otherwise."""
    return {"do": "succeed", "name": name, "label": label, **plan}


def chord_of(*tasks: Node, body: Node | None = None) -> Node:
    """Return a chord that a test plans itself."""
    return {"shape": "chord", "tasks": list(tasks), "body": body or task(0, "collect")}


def _holds_group(node: Node) -> bool:
    return node.get("shape") == "group" or any(map(_holds_group, _inner(node)))


def _calm(node: Node) -> Node:
    """Return a node of which everything succeeds at once.

    Celery joins the results of a header that holds a group, and blocks its worker for ever where one is missing.
    """
    if "shape" not in node:
        return {"do": "succeed"} | {what: node[what] for what in ("name", "label", "seconds")}
    calm: Node = node | {"tasks": [_calm(task) for task in node["tasks"]]}
    return calm | {"body": _calm(node["body"])} if "body" in node else calm


def _inner(node: Node) -> list[Node]:
    return [*node.get("tasks", ()), *([node["body"]] if isinstance(node.get("body"), dict) else ())]


def _chain(*steps: Node) -> Node:
    return {"shape": "chain", "tasks": list(steps)}
