"""The project's Celery app."""

from __future__ import annotations

import os

from celery import Celery

import chordwatch

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
if not os.environ.get("PROJECT_BARE"):
    chordwatch.instrument(app)
app.autodiscover_tasks(["shop"])
