"""The chords of the scene, and what the tests remember of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from celery import chain, chord, group

from tests.integration.xray.stranger import FOR_EVER, Stranger, group_id

HOUR = 3600.0


@dataclass
class Scene:
    """What was published: chords' results by name, and when."""

    stranger: Stranger
    results: dict[str, Any] = field(default_factory=dict)
    published_at: float = 0.0

    def id(self, name: str) -> str:
        """Return a chord's group id."""
        return group_id(self.results[name])


def publish(scene: Scene) -> None:
    """Send everything."""
    t = scene.stranger.tasks
    t.app.set_current()
    add, long, late, body = t.add.s(1, 1), t.nap.s(FOR_EVER), t.linger.s(FOR_EVER), t.collect.s()
    shapes = {
        "running": chord([add, long, add], body),
        "busy": chord([t.nap.s(FOR_EVER).set(queue="busy") for _ in range(4)], body),
        "eta": chord([add, t.add.s(2, 2).set(countdown=HOUR)], body),
        "retry": chord([add, t.again.s(HOUR)], body),
        "unread": chord([add, t.add.s(2, 2).set(queue="nobody")], body),
        "unread_callback": chord([add, add], t.collect.s().set(queue="nobody")),
        "failing": chord([t.boom.s(), long], body),
        "failed": chord([add, t.boom.s()], body),
        "callback_failed": chord([add, add], t.boom.s()),
        "happy": chord([add, add, add], body),
        "nested": chord([chord([add, t.add.s(2, 2).set(queue="nobody")], body), add], body),
        "chain_in_header": chord([chain(t.add.s(1, 1).set(queue="nobody"), t.linger.s(0)), add], body),
        "complex": chord([chain(add, group(late, t.linger.s(0))), add], body),
        "grown": chord([t.grow.s(FOR_EVER), add], body),
        "quiet": chord([t.quiet.s(1), t.quiet.s(2).set(queue="nobody")], body),
        "upgraded": chain(add, group(late, t.linger.s(0)), body),
    }
    scene.published_at = time.time()
    for name, shape in shapes.items():
        scene.results[name] = shape.apply_async()
