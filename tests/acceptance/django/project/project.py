"""The project under the name by which the tests know it."""

from __future__ import annotations

import django
from shop.celery import app

django.setup()

from shop.tasks import add, boom, collect, ignore, nap, quiet  # noqa: E402  # models need Django first

__all__ = ["add", "app", "boom", "collect", "ignore", "nap", "quiet"]
