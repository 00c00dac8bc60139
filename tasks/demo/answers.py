"""Whether a service answers: over HTTP, by a worker's reply to a ping, or by a line in its log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from celery import Celery
from celery.utils.nodenames import gethostname
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from tasks.demo.services import Service
from tasks.demo.supervise import Child

POLL_SECONDS = 0.2


def page_at(url: str) -> str | None:
    """Return the address that answers 200: `url`, or where it redirects to; None when there is none."""
    try:
        # Prometheus and Flower have their first page at an address that depends on their version.
        response = httpx.get(url, timeout=5.0, trust_env=False, follow_redirects=True)
    except httpx.HTTPError:
        return None
    return str(response.url) if response.status_code == httpx.codes.OK else None


def worker_replies(broker_url: str, node: str) -> bool:
    """Whether the worker of that name on this machine answers a ping."""
    with Celery(broker=broker_url, set_as_current=False) as app:
        inspect = app.control.inspect([f"{node}@{gethostname()}"], timeout=2.0, limit=1)
        try:
            return bool(inspect.ping())
        except (OSError, KombuError, RedisError):
            return False


def answers(service: Service, log: Path, broker_url: str) -> bool:
    """Whether `service` answers, with all its pages."""
    if service.health is not None:
        return all(page_at(url) is not None for url in (service.health, *service.pages.values()))
    if service.node is not None:
        return worker_replies(broker_url, service.node)
    return service.says is not None and service.says.encode() in log.read_bytes()


def unanswered(
    pairs: Iterable[tuple[Service, Child]], broker_url: str, seconds: float, stopped: Callable[[], bool]
) -> list[tuple[Service, Child]]:
    """Wait, all at once and at most so long, until each service answers; return those that did not.

    One that has ended, or that anybody ended by `stopped`, is not waited for.
    """
    deadline = time.monotonic() + seconds

    def wait(service: Service, child: Child) -> bool:
        while time.monotonic() < deadline and not child.ended and not stopped():
            if answers(service, child.log, broker_url):
                return True
            time.sleep(POLL_SECONDS)
        return False

    listed = list(pairs)
    with ThreadPoolExecutor(max_workers=len(listed)) as pool:
        good = list(pool.map(lambda pair: wait(*pair), listed))
    return [pair for pair, answered in zip(listed, good, strict=True) if not answered]
