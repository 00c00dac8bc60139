from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from celery import Celery

from chordwatch.board.report import report_of
from chordwatch.diagnosis import Case, diagnose
from chordwatch.evidence.facts import Place
from chordwatch.metrics.alerts import RUNBOOK_URL
from chordwatch.model import Callback, MissingPart
from chordwatch.watch import Sighting
from tests.unit.cli.rendered import MARKUP, hostile, sighting, verdict, with_verdicts
from tests.unit.seen import NOW, W1, consumers, header_task, in_queue, open_chord

SECRET = "user 4711 of db-master.internal: s3cret"
HOSTS = ("celery@db-7.internal", "my_worker@shop_host_seven", "w@" + "h" * 100, "w-1@10.0.0.7")


@pytest.fixture
def app() -> Celery:
    return Celery(
        "project",
        broker="redis://:s3cret@db-7.internal/0",
        backend="redis://:s3cret@db-7.internal/1",
        set_as_current=False,
    )


def diagnosed(host: str, error: str) -> Sighting:
    """Return a chord with a part that raised, one that waits in vain and one that runs, all diagnosed."""
    places = {
        "h1": in_queue("nobody"),
        "h2": Place(kind="active", name=host, since=NOW),
        "h3": Place(kind="reserved", name=host),
        "h4": Place(kind="scheduled", name=host, eta=NOW),
    }
    chord = open_chord(
        size=5,
        header=(
            header_task(0, counted=True, state="failed", error=error),
            *(header_task(number) for number in range(1, 5)),
        ),
        missing=tuple(MissingPart(index=n, task_id=f"h{n}", name="zoo.add") for n in range(1, 5)),
        callback=Callback(task_id="body", name="zoo.collect", state="failed", error=error),
    )
    verdicts = diagnose(
        Case(chord=chord, places=places, consumers=consumers(replace(W1, hostname=host)), now=NOW)
    )
    return Sighting(chord=replace(chord, verdicts=verdicts), places=places)


def test_a_report_tells_what_a_maintainer_would_ask(app: Celery) -> None:
    text = report_of(with_verdicts(sighting(health="hung"), verdict()), ("Time ran out.",), app)

    for line in (
        "## Chord `group`",
        "- Health: **hung** (open)",
        "- Counted: 1 of 2",
        "- Callback: zoo.collect, not sent yet",
        "### queue_unconsumed (hung, not certain)",
        "- Open question: Does a busy worker read it?",
        "- Remedy: Start a worker.",
        rf"- About this cause: [docs/causes.md\#queue\_unconsumed]({RUNBOOK_URL}#queue_unconsumed)",
        "### Missing parts (1)",
        "| 1 | zoo.add | in queue nobody |",
        "- Broker: redis, result backend: RedisBackend",
        "### Not seen",
        "- Time ran out.",
    ):
        assert line in text.splitlines()
    assert re.search(
        r"^- chordwatch \d.*, celery \d.*, kombu \d.*, redis \d.*, Python 3\.", text, re.MULTILINE
    )
    assert "`task_acks_late`=False" in text


def test_an_app_made_of_urls_tells_nothing_of_the_projects_settings() -> None:
    of_urls = Celery("default", loader="default", broker="redis://", backend="redis://", set_as_current=False)

    text = report_of(sighting(), (), of_urls)

    assert "- Settings: not known, as this was written without the project's code" in text.splitlines()
    assert "task_acks_late" not in text
    assert "prefetch" not in text


def test_a_configuration_that_celery_finds_by_itself_is_the_projects(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "shop_settings.py").write_text(
        "task_acks_late = True\nbroker_url = result_backend = 'redis://'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CELERY_CONFIG_MODULE", "shop_settings")
    found = Celery("default", loader="default", set_as_current=False)

    assert "`task_acks_late`=True" in report_of(sighting(), (), found)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("holds", [True, False])
def test_a_report_names_no_host(app: Celery, host: str, holds: bool) -> None:
    seen = diagnosed(host, "ValueError")
    text = report_of(seen if holds else replace(seen, places={}), (), app).replace("\\", "")

    assert "worker-1" in text
    for piece in re.split(r"[@_]", host.partition("@")[2]):
        assert len(piece) < 4 or piece[:40] not in text


def test_one_worker_keeps_one_number(app: Celery) -> None:
    text = report_of(diagnosed("w1@zoo", "ValueError"), (), app)

    assert set(re.findall(r"worker-\d+", text)) == {"worker-1"}


@pytest.mark.parametrize(
    "error",
    [
        f"ValueError: {SECRET}",
        "ValueError: " + (SECRET + "\n") * 4,
        "ValueError: *" + SECRET + "*" * 90,
        "ValueError: \u202e" + SECRET,
        f"ValueError: {SECRET} {'x' * 150}"[:200],
    ],
)
def test_a_report_tells_an_error_by_its_type_only(app: Celery, error: str) -> None:
    text = report_of(diagnosed("w1@zoo", error), (), app)

    assert "ValueError" in text
    assert "s3cret" not in text
    assert "4711" not in text


def test_a_report_names_neither_broker_nor_password(app: Celery) -> None:
    text = report_of(sighting(), (), app)

    assert "s3cret" not in text
    assert "db-7" not in text


def test_foreign_names_are_literal_in_report_of(app: Celery) -> None:
    # A worker's name is nowhere shown as it is.
    seen = replace(hostile("`|" + MARKUP + "<img src=x>\n# title"), places={})
    text = report_of(seen, (), app)

    for line in text.splitlines():
        assert not line.startswith("# title")
    assert re.search(r"(?<!\\)<img", text) is None or "## Chord `" in text.splitlines()[0]
    assert r"\[bold red\]tasks\[/bold red\]" in text
    assert r"\|" in text
    assert text.splitlines()[0].count("`") == 2


def test_many_missing_parts_are_counted(app: Celery) -> None:
    missing = tuple(MissingPart(index=number) for number in range(30))

    text = report_of(sighting(missing=missing), (), app)

    assert "### Missing parts (30)" in text
    assert "| … | 10 more | |" in text
    assert "| 20 |" not in text


def test_a_store_that_does_not_answer_is_told_without_its_address(app: Celery) -> None:
    gap = "Nothing that was recorded is shown: the store at rediss://**@db-7.internal:6380/0 does not answer."

    text = report_of(sighting(), (gap,), app)

    assert "the store at its address does not answer" in text
    assert "db-7" not in text


def test_a_report_can_be_written_whatever_it_quotes(app: Celery) -> None:
    text = report_of(sighting(), ("a queue named \udc80",), app)

    assert text.encode()
    assert r"a queue named \udc80" in text
