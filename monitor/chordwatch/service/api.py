"""The monitor's HTTP interface: read-only, documented by OpenAPI, without anything from the internet."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from fastapi_offline import FastAPIOffline
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.exceptions import HTTPException

from chordwatch import __version__
from chordwatch.errors import ChordwatchError
from chordwatch.evidence.facts import Queue, Worker
from chordwatch.metrics import CallbackNames, ChordCollector
from chordwatch.model import Chord, to_json
from chordwatch.service.loop import Glance, Loop
from chordwatch.settings import Settings
from chordwatch.watch import DEFAULT_LIMIT, HEALTH_FILTERS, Look, matches
from chordwatch.watch.running import stale_after

#: A monitor that has not finished a look for so many intervals is not healthy.
_STALE_INTERVALS = 6
_FIRST_LOOK = "The first look is not finished."
_NO_STORE = (
    "The store does not answer, or refuses a command: nothing that was recorded is seen. "
    "See that its Redis runs, and whether chordwatch_store_url is right."
)
_HEALTHS = f"^({'|'.join(HEALTH_FILTERS)})$"
_ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"description": 'No such chord: `{"error": sentence}`'},
    503: {"description": 'Nothing could be read: `{"error": sentence}`'},
}


class _Json(JSONResponse):
    """JSON in ASCII: names that cannot be encoded (lone surrogates) are escaped, as on the command line."""

    def render(self, content: Any) -> bytes:
        return json.dumps(jsonable_encoder(content), separators=(",", ":")).encode()


def make_api(loop: Loop, settings: Settings) -> FastAPI:
    """Return the ASGI application that serves what `loop`, which has the same settings, saw."""
    api: FastAPI = FastAPIOffline(
        title="chordwatch",
        version=__version__,
        description="Celery chords: open, waiting, hung.",
        lifespan=_life(loop),
    )
    api.state.loop = loop
    _add_errors(api)
    _add_chords(api, loop)
    _add_installation(api, loop)
    _add_metrics(api, loop, settings)
    _add_health(api, loop, settings)
    return api


def _life(loop: Loop) -> Any:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loop.start()
        yield
        loop.stop()

    return lifespan


def _add_chords(api: FastAPI, loop: Loop) -> None:
    @api.get("/api/chords", response_model=list[Chord], response_model_exclude={"__all__": {"header"}})
    def chords(
        health: Annotated[str, Query(pattern=_HEALTHS)] = "all",
        callback: str | None = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = DEFAULT_LIMIT,
        cursor: Annotated[int, Query(ge=0, description="Go on here: the last answer's X-Next-Cursor.")] = 0,
    ) -> Response:
        """Chords of the last look, oldest open first, then newest finished."""
        matching = [chord for chord in _last(loop).chords if matches(chord, health, callback)]
        page = matching[cursor : cursor + limit]
        more = {"X-Next-Cursor": str(cursor + limit)} if cursor + limit < len(matching) else {}
        return _Json([to_json(chord, header=False) for chord in page], headers=more)

    @api.get("/api/chords/{id}", response_model=Chord, responses=_ERRORS)
    def chord(id: str) -> Response:  # noqa: A002  # the contract's name
        """One chord, looked at now, by its group id, its callback's id, or a header task's."""
        sighting = loop.sight(id)
        if sighting is None:
            raise HTTPException(404, "No chord is found under this id.")
        return _Json(to_json(sighting.chord, header=True))

    @api.get("/api/chords/{id}/explain", response_model=Chord, responses=_ERRORS)
    def explain(id: str) -> Response:  # noqa: A002  # the contract's name
        """One chord with a fresh diagnosis from two or three looks; takes some seconds."""
        sighting = loop.explain(id)
        if sighting is None:
            raise HTTPException(404, "No chord is found under this id.")
        return _Json(to_json(sighting.chord, header=True))

    @api.get("/api/chords/{id}/report", response_class=PlainTextResponse, responses=_ERRORS)
    def report(id: str) -> Response:  # noqa: A002  # the contract's name
        """One chord as Markdown to paste into a ticket; without arguments, results, hosts and passwords."""
        text = loop.report(id)
        if text is None:
            raise HTTPException(404, "No chord is found under this id.")
        return Response(text, media_type="text/markdown")


def _add_installation(api: FastAPI, loop: Loop) -> None:
    @api.get("/api/queues", response_model=list[Queue])
    def queues() -> Response:
        """The broker's queues as of the last look."""
        return _Json(_last(loop).queues)

    @api.get("/api/workers", response_model=list[Worker])
    def workers() -> Response:
        """The workers that answered, asked at most once a minute."""
        return _Json(_last(loop).workers)


def _add_metrics(api: FastAPI, loop: Loop, settings: Settings) -> None:
    names = CallbackNames()

    @api.get("/metrics", response_class=PlainTextResponse)
    def metrics(request: Request) -> Response:
        """Metrics for Prometheus. What is too old to be true now is left out."""
        glance = loop.glance
        look, totals = glance.look, glance.totals
        registry = CollectorRegistry(auto_describe=False)
        collector = ChordCollector(
            look=look,
            seconds=glance.seconds,
            current=not glance.error and not (look and _is_old(look.taken_at, glance, settings)),
            unreachable=glance.unreachable,
            totals=None if totals and _is_old(totals.taken_at, glance, settings) else totals,
            stale_after=stale_after(settings.heartbeat_interval),
            errors=loop.errors,
            everything=settings.collect == "all",
            names=names,
        )
        registry.register(collector)
        encoder, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encoder(registry), media_type=content_type)


def _add_health(api: FastAPI, loop: Loop, settings: Settings) -> None:
    begun = time.time()

    @api.get("/", include_in_schema=False)
    def root() -> RedirectResponse:
        return RedirectResponse("/docs")

    @api.get("/healthz", responses=_ERRORS)
    def healthz() -> dict[str, str]:
        """Whether chords are watched: broker, result backend and store answer, and the last look is not old."""
        glance = loop.glance
        if glance.error:
            raise HTTPException(503, glance.error)
        if glance.look is None and time.time() - begun > _patience(settings) + settings.look_seconds:
            raise HTTPException(503, _FIRST_LOOK)
        if glance.look and _is_old(glance.look.taken_at, glance, settings):
            raise HTTPException(503, "The last look is too old.")
        # Who needs no store has no totals.
        if glance.totals and not glance.totals.up:
            raise HTTPException(503, _NO_STORE)
        return {"status": "ok"}

    @api.get("/readyz", responses=_ERRORS)
    def readyz() -> dict[str, str]:
        """Whether what is served is of now: the last look succeeded, be it without what is in the store."""
        if loop.glance.look is None or loop.glance.error:
            raise HTTPException(503, loop.glance.error or _FIRST_LOOK)
        return {"status": "ready"}


def _add_errors(api: FastAPI) -> None:
    @api.exception_handler(HTTPException)
    def refused(_: Request, exc: HTTPException) -> JSONResponse:
        return JSONResponse({"error": exc.detail}, exc.status_code)

    @api.exception_handler(RequestValidationError)
    def invalid(_: Request, exc: RequestValidationError) -> JSONResponse:
        first = exc.errors()[0]
        return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg']}."}, 422)

    @api.exception_handler(ChordwatchError)
    def unreadable(_: Request, exc: ChordwatchError) -> JSONResponse:
        return JSONResponse({"error": str(exc)}, 503)


def _is_old(taken_at: float, glance: Glance, settings: Settings) -> bool:
    """Whether what was seen then (Unix seconds) should have been seen anew since."""
    return time.time() - taken_at > _patience(settings) + glance.seconds


def _patience(settings: Settings) -> float:
    return _STALE_INTERVALS * settings.monitor_interval


def _last(loop: Loop) -> Look:
    """Return the last look, which is refused rather than shown when the next one failed."""
    if loop.glance.look is None or loop.glance.error:
        raise HTTPException(503, loop.glance.error or _FIRST_LOOK)
    return loop.glance.look
