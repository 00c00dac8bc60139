"""Settings of a small Django project: SQLite, Redis as broker, results in the database."""

from __future__ import annotations

import json
import os

SECRET_KEY = "of no consequence"
USE_TZ = True
INSTALLED_APPS = ["django_celery_results"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["SHOP_DATABASE"],
        # Otherwise SQLite refuses at once where two writers meet.
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    }
}
CELERY_BROKER_URL = os.environ["PROJECT_BROKER"]
CELERY_RESULT_BACKEND = "django-db"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
globals().update(json.loads(os.environ.get("PROJECT_SETTINGS", "{}")))
