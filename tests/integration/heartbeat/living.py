"""A Celery project that is recorded; all that a test varies is in the environment."""

from __future__ import annotations

import os

from celery import Celery

import chordwatch

app = Celery(
    "living", include=["parts"], broker=os.environ["PROJECT_BROKER"], backend=os.environ["PROJECT_BROKER"]
)
app.conf.broker_connection_retry_on_startup = True
chordwatch.instrument(app, store_url=os.environ["PROJECT_STORE"], heartbeat_interval=0.2)
