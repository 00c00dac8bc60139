"""The pipeline A -> (B | C) -> D: text is preprocessed, embedded and classified in parallel, and merged.

A, B and C ask the model service. Each of the three ways to retry in Celery is used once.
"""

from __future__ import annotations

from typing import Any

import httpx

from tasks.celery import app
from tasks.config import MODEL_URL

REQUEST_TIMEOUT_SECONDS = 5.0


class ModelServiceError(Exception):
    """The model service answered with an error."""


#: What may be gone at the next attempt. httpx.HTTPStatusError is not used: it cannot be rebuilt from its
#: arguments alone, which is how a JSON result backend restores an exception.
TRANSIENT = (httpx.TransportError, ModelServiceError)


def predict(stage: str, request_id: str, text: str, scenario: str) -> dict[str, Any]:
    """Ask the model service. `request_id` is the same for all attempts of one task."""
    question = {"stage": stage, "request_id": request_id, "text": text, "scenario": scenario}
    response = httpx.post(f"{MODEL_URL}/v1/predict", json=question, timeout=REQUEST_TIMEOUT_SECONDS)
    if response.is_error:
        raise ModelServiceError(f"{stage}: the model service answered HTTP {response.status_code}")
    answer: dict[str, Any] = response.json()
    return answer


@app.task(bind=True, autoretry_for=TRANSIENT, max_retries=3, retry_backoff=2, retry_jitter=False)
def preprocess(self: Any, payload: dict[str, Any]) -> dict[str, Any]:
    """A: clean the text. Waits 2, 4 and 8 seconds between attempts."""
    scenario = payload["scenario"]
    answer = predict("preprocess", self.request.id, payload["raw"], scenario)
    return {"text": answer["text"], "scenario": scenario, "retries_used": self.request.retries}


# B and C change nothing but their own result, so they may run again when their worker is lost.
@app.task(bind=True, max_retries=3, acks_late=True, soft_time_limit=20, time_limit=30)
def embed(self: Any, document: dict[str, Any]) -> dict[str, Any]:
    """B: make an embedding. Waits 3 seconds between attempts."""
    try:
        answer = predict("embed", self.request.id, document["text"], document["scenario"])
    except TRANSIENT as error:
        raise self.retry(exc=error, countdown=3) from error
    return {"embedding": answer["embedding"], "retries_used": self.request.retries}


@app.task(
    bind=True,
    autoretry_for=TRANSIENT,
    max_retries=3,
    retry_backoff=True,
    retry_jitter=True,
    acks_late=True,
    soft_time_limit=20,
    time_limit=30,
)
def classify(self: Any, document: dict[str, Any]) -> dict[str, Any]:
    """C: find a label. Waits up to 1, 2 and 4 seconds between attempts, at random."""
    answer = predict("classify", self.request.id, document["text"], document["scenario"])
    return {"label": answer["label"], "score": answer["score"], "retries_used": self.request.retries}


@app.task(bind=True)
def merge(self: Any, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """D: put the embedding and the label together. There is nothing to retry."""
    embedded, classified = parts
    return {
        "embedding": embedded["embedding"],
        "label": classified["label"],
        "score": classified["score"],
        "retries_used": self.request.retries,
    }
