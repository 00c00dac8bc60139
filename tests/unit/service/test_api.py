from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient, Response
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from chordwatch.errors import UnreachableError
from chordwatch.evidence.facts import Queue
from chordwatch.metrics.labels import LABEL_LENGTH
from chordwatch.model import Callback, Chord
from chordwatch.service.api import make_api
from chordwatch.service.loop import Glance
from chordwatch.settings import read_settings
from chordwatch.store.labels import MAX_CALLBACKS
from chordwatch.store.protocol import Counters
from chordwatch.watch import Look, Sighting
from chordwatch.watch.recorded import Totals
from tests.unit.cli.rendered import NAMES, hostile
from tests.unit.metrics.test_collector import HOSTILE
from tests.unit.recorded import beat
from tests.unit.seen import NOW, W1, open_chord

DONE = open_chord(chord_id="done", state="succeeded", health="done", finished_at=NOW)
#: What Prometheus 2.42 asks for.
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
HUNG = open_chord(chord_id="hung", health="hung", callback=Callback(name="zoo.other"))


class FakeLoop:
    """A loop that has taken its look; its lifespan is not started here."""

    def __init__(self, glance: Glance) -> None:
        self.glance = glance
        self.away = False
        self.errors = Counter({"webhook": 2})

    def sight(self, wanted: str) -> Sighting | None:
        """Find a chord in the look, unless the broker is away."""
        if self.away:
            raise UnreachableError("The broker at redis://:**@db/0 does not answer.")
        sightings = self.glance.look.sightings if self.glance.look else ()
        return next((seen for seen in sightings if seen.chord.chord_id == wanted), None)

    def explain(self, wanted: str) -> Sighting | None:
        """Find it with a verdict that only two looks give."""
        found = self.sight(wanted)
        return found and replace(found, chord=replace(found.chord, health="hung"))

    def report(self, wanted: str) -> str | None:
        """Report on a chord of the look."""
        return f"## Chord `{wanted}` größe" if self.sight(wanted) else None


def glance(*sightings: Sighting, **fields: Any) -> Glance:
    queues = (Queue(name="celery", length=3, unacked=1, consumers=1),)
    look = Look(taken_at=time.time(), sightings=sightings, queues=queues, workers=(W1,))
    return Glance(**{"look": look, "seconds": 0.1, **fields})


def seen(*chords: Any) -> tuple[Sighting, ...]:
    return tuple(Sighting(chord=chord) for chord in chords)


class Client:
    """Asks the application without a socket."""

    def __init__(self, loop: FakeLoop, **settings: Any) -> None:
        self._api = make_api(loop, read_settings({}, **settings))  # type: ignore[arg-type]  # a fake

    def get(self, path: str, **headers: str) -> Response:
        """Return the answer to a GET."""
        return asyncio.run(self._get(path, headers))

    async def _get(self, path: str, headers: dict[str, str]) -> Response:
        transport = ASGITransport(self._api, raise_app_exceptions=False)
        async with AsyncClient(transport=transport, base_url="http://monitor") as client:
            return await client.get(path, headers=headers)


def client(loop: Glance | FakeLoop, **settings: Any) -> Client:
    return Client(loop if isinstance(loop, FakeLoop) else FakeLoop(loop), **settings)


def ids(response: Any) -> list[str]:
    return [chord["chord_id"] for chord in response.json()]


def test_chords_are_listed_without_their_header() -> None:
    response = client(glance(*seen(open_chord(), HUNG, DONE))).get("/api/chords")

    assert response.status_code == 200
    assert ids(response) == ["group", "hung", "done"]
    assert "header" not in response.json()[0]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("health=open", ["group", "hung"]),
        ("health=hung", ["hung"]),
        ("callback=zoo.other", ["hung"]),
        ("limit=1", ["group"]),
        ("limit=1&cursor=1", ["hung"]),
        ("cursor=9", []),
    ],
)
def test_a_query_narrows_the_list(query: str, found: list[str]) -> None:
    assert ids(client(glance(*seen(open_chord(), HUNG, DONE))).get(f"/api/chords?{query}")) == found


def test_the_cursor_leads_to_the_next_page_until_the_last() -> None:
    api = client(glance(*seen(open_chord(), HUNG, DONE)))

    assert api.get("/api/chords?limit=2").headers["X-Next-Cursor"] == "2"
    assert "X-Next-Cursor" not in api.get("/api/chords?limit=2&cursor=2").headers
    assert "X-Next-Cursor" not in api.get("/api/chords?limit=3").headers


@pytest.mark.parametrize("query", ["health=nonsense", "limit=0", "limit=x", "limit=99999", "cursor=-1"])
def test_a_bad_query_is_one_sentence(query: str) -> None:
    response = client(glance()).get(f"/api/chords?{query}")

    assert response.status_code == 422
    assert list(response.json()) == ["error"]
    assert query.partition("=")[0] in response.json()["error"]


def test_one_chord_is_shown_with_its_header() -> None:
    response = client(glance(*seen(open_chord()))).get("/api/chords/group")

    assert [task["task_id"] for task in response.json()["header"]] == ["h0", "h1"]


def test_a_chord_is_explained_by_a_fresh_diagnosis() -> None:
    answers = client(glance(*seen(open_chord())))

    assert answers.get("/api/chords/group/explain").json()["health"] == "hung"
    assert answers.get("/api/chords/unknown/explain").status_code == 404


def test_a_chord_is_reported_as_markdown() -> None:
    answers = client(glance(*seen(open_chord())))

    report = answers.get("/api/chords/group/report")

    assert report.headers["content-type"] == "text/markdown; charset=utf-8"
    assert report.text == "## Chord `group` größe"
    assert answers.get("/api/chords/unknown/report").status_code == 404


def test_an_unknown_chord_is_not_found() -> None:
    response = client(glance()).get("/api/chords/unknown")

    assert (response.status_code, response.json()) == (404, {"error": "No chord is found under this id."})


def test_a_broker_that_is_away_is_said() -> None:
    loop = FakeLoop(glance())
    loop.away = True

    response = client(loop).get("/api/chords/group")

    assert response.status_code == 503
    assert response.json() == {"error": "The broker at redis://:**@db/0 does not answer."}


def test_before_the_first_look_the_list_is_not_ready() -> None:
    api = client(Glance())

    assert [api.get(path).status_code for path in ("/api/chords", "/readyz")] == [503, 503]
    assert api.get("/readyz").json() == {"error": "The first look is not finished."}
    assert api.get("/healthz").status_code == 200
    assert api.get("/api/queues").status_code == 503


def test_after_the_first_look_it_is_ready_and_healthy() -> None:
    api = client(glance())

    assert [api.get(path).status_code for path in ("/readyz", "/healthz")] == [200, 200]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_look_that_failed_makes_it_neither_healthy_nor_ready(path: str) -> None:
    answer = client(glance(error="The broker does not answer.")).get(path)

    assert (answer.status_code, answer.json()) == (503, {"error": "The broker does not answer."})


def test_an_old_look_makes_it_unhealthy() -> None:
    now = glance()
    assert now.look is not None
    old = replace(now, look=replace(now.look, taken_at=time.time() - 60))

    assert client(old).get("/healthz").json() == {"error": "The last look is too old."}


def test_without_its_store_it_is_unhealthy_but_serves_what_broker_and_backend_hold() -> None:
    api = client(glance(totals=Totals(up=False)))

    answer = api.get("/healthz")

    assert (answer.status_code, set(answer.json())) == (503, {"error"})
    assert answer.json()["error"].startswith("The store does not answer")
    assert [api.get(path).status_code for path in ("/readyz", "/api/chords")] == [200, 200]


def test_an_installation_that_needs_no_store_is_healthy() -> None:
    assert client(glance(totals=None)).get("/healthz").json() == {"status": "ok"}


def test_a_first_look_that_never_ends_makes_it_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    api = client(Glance())
    later = time.time() + 120
    monkeypatch.setattr(time, "time", lambda: later)

    answer = api.get("/healthz")

    assert (answer.status_code, answer.json()) == (503, {"error": "The first look is not finished."})


def test_queues_and_workers_are_shown() -> None:
    api = client(glance())

    assert api.get("/api/queues").json() == [{"name": "celery", "length": 3, "unacked": 1, "consumers": 1}]
    assert api.get("/api/workers").json()[0]["hostname"] == "w1@zoo"


def test_metrics_are_in_the_format_that_was_asked_for() -> None:
    api = client(glance(*seen(HUNG)))

    plain = api.get("/metrics")
    opened = api.get("/metrics", accept="application/openmetrics-text; version=1.0.0")

    assert 'celery_chord_open{callback="zoo.other"} 1.0' in plain.text
    assert 'chordwatch_internal_errors_total{where="webhook"} 2.0' in plain.text
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    assert opened.text.endswith("# EOF\n")


def test_what_is_too_old_to_be_true_is_left_out_of_the_metrics() -> None:
    now = glance(*seen(HUNG), totals=Totals(up=True, counters=Counters(started={"zoo.other": 1})))
    look, totals = now.look, now.totals
    assert look is not None
    assert totals is not None
    then = time.time() - 60
    old_look, old_totals = replace(look, taken_at=then), replace(totals, taken_at=then)

    fresh, hangs, unasked = (
        set(
            re.findall(r"^(celery_chord_\w+|chordwatch_\w+)", client(each).get("/metrics").text, re.MULTILINE)
        )
        for each in (now, replace(now, look=old_look, totals=old_totals), replace(now, totals=old_totals))
    )

    assert {"celery_chord_open", "celery_chord_started_total", "chordwatch_store_up"} <= fresh
    assert hangs == {
        "chordwatch_scan_timestamp_seconds",
        "chordwatch_scan_duration_seconds",
        "chordwatch_internal_errors_total",
    }
    assert "celery_chord_open" in unasked
    assert not {"celery_chord_started_total", "chordwatch_store_up"} & unasked


def test_the_metrics_say_which_server_does_not_answer() -> None:
    away = glance(*seen(HUNG), error="The broker does not answer.", unreachable="broker")

    text = client(away).get("/metrics").text

    assert "\nchordwatch_broker_up 0.0\n" in text
    assert "chordwatch_backend_up " not in text
    assert "celery_chord_open{" not in text


def test_metrics_that_another_exporter_gives_can_be_left_out() -> None:
    totals = Totals(up=True, workers=(beat("w1@zoo"),), now=NOW)
    everything, chords = (
        client(glance(*seen(HUNG), totals=totals), collect=collect).get("/metrics").text
        for collect in ("all", "chords")
    )

    for name in ("celery_queue_length{", "celery_worker_up{", "celery_worker_chord_tasks{"):
        assert name in everything
        assert name not in chords
    assert "celery_chord_open{" in chords


def test_a_callback_keeps_its_label_from_scrape_to_scrape() -> None:
    loop = FakeLoop(glance(*seen(*(named(f"first-{number}") for number in range(MAX_CALLBACKS)))))
    api = client(loop)
    api.get("/metrics")
    kept = named("first-7")
    loop.glance = glance(*seen(*(named(f"more-{n}") for n in range(MAX_CALLBACKS)), kept))

    assert 'celery_chord_open{callback="first-7"} 1.0' in api.get("/metrics").text


def named(callback: str) -> Chord:
    return open_chord(chord_id=callback, callback=Callback(name=callback))


@pytest.mark.parametrize("accept", ["*/*", "application/openmetrics-text;version=1.0.0", PROMETHEUS])
def test_metrics_of_hostile_names_are_read_by_parsers(accept: str) -> None:
    look = Look(
        taken_at=time.time(),
        sightings=tuple(hostile(name) for name in HOSTILE),
        queues=tuple(Queue(name=name, length=1, unacked=0, consumers=1) for name in HOSTILE),
        oldest_queued=dict.fromkeys(HOSTILE, NOW),
        answered=frozenset({"broker", "result backend"}),
    )
    pairs = [(name, name) for name in HOSTILE]
    counters = Counters(
        started=dict.fromkeys(HOSTILE, 1),
        finished={(name, "failed"): 1 for name in HOSTILE},
        header_tasks={(*pair, "published"): 1 for pair in pairs},
        callbacks={(name, "started"): 1 for name in HOSTILE},
        retries={(*pair, "header"): 1 for pair in pairs},
        verdicts={(name, name, name): 1 for name in HOSTILE},
        dropped=dict.fromkeys(HOSTILE, 1),
    )
    totals = Totals(up=True, counters=counters, workers=tuple(map(beat, HOSTILE)), now=NOW)

    answer = client(Glance(look=look, totals=totals)).get("/metrics", accept=accept)

    opened = answer.headers["content-type"].startswith("application/openmetrics-text")
    assert opened == ("openmetrics" in accept)
    families = list((parse_openmetrics if opened else parse_text)(answer.text))
    series = [
        (sample.name, *sorted(sample.labels.items())) for family in families for sample in family.samples
    ]
    assert len(set(series)) == len(series), "a series twice makes Prometheus refuse the scrape"
    assert {name for name, *_ in series} >= {"celery_chord_open", "celery_worker_up", "celery_queue_length"}
    assert max(len(value) for _, *labels in series for _, value in labels) <= LABEL_LENGTH
    for metric in ("celery_queue_length", "celery_chord_started_total", "celery_chord_header_tasks_total"):
        assert sum(s.value for f in families for s in f.samples if s.name == metric) == len(HOSTILE)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_one_hostile_name_does_not_take_the_list_away(name: str) -> None:
    now = glance(hostile(name), *seen(HUNG))
    assert now.look is not None
    queues, workers = (Queue(name=name, length=1, unacked=0),), (replace(W1, hostname=name, queues=(name,)),)
    api = client(replace(now, look=replace(now.look, queues=queues, workers=workers)))

    assert api.get("/metrics").status_code == 200
    assert ids(api.get("/api/chords")) == [name, "hung"]
    assert api.get("/api/queues").json()[0]["name"] == name
    assert api.get("/api/workers").json()[0]["hostname"] == name


def test_the_documentation_fetches_nothing_from_elsewhere() -> None:
    page = client(glance()).get("/docs").text

    assert "https://" not in page.replace("https://github.com", "")
    assert client(glance()).get("/openapi.json").json()["paths"].keys() >= {"/api/chords", "/api/chords/{id}"}
