"""A Django project that keeps its results with django-celery-results."""

from __future__ import annotations

from shop.celery import app as celery_app

__all__ = ("celery_app",)
