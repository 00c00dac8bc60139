"""A process that publishes workflows: for each line of stdin, a list of nodes, it answers with the ids of results."""

from __future__ import annotations

import json
import sys
from typing import Any

from celery import chain, chord, group

from tests.support.workflows.canvases import Node
from tests.support.workflows.project import app, sign


def build(node: Node) -> Any:
    """Return the canvas of a node."""
    match node.get("shape"):
        case "chain":
            return chain(*map(build, node["tasks"]))
        case "group":
            return group([build(member) for member in node["tasks"]])
        case "chord":
            return chord([build(member) for member in node["tasks"]], build(node["body"]))
    return sign(node)


if __name__ == "__main__":
    app.set_current()
    for line in sys.stdin:
        print(json.dumps([str(build(node).apply_async().id) for node in json.loads(line)]), flush=True)
