from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import yaml
from celery import Celery
from celery.bin.celery import celery as celery_command
from click.testing import CliRunner, Result

from chordwatch.cli import USAGE, chords
from chordwatch.metrics.alerts import DASHBOARD_URL, RUNBOOK_URL, rules, rules_text


def printed(*arguments: str, **conf: object) -> Result:
    app = Celery("project", broker="redis://127.0.0.1:1/0", set_as_current=False)
    app.conf.update(conf)
    return CliRunner().invoke(
        chords, ["rules", *arguments], obj=SimpleNamespace(app=app), catch_exceptions=False
    )


def links(done: Result) -> set[str]:
    """Return where the dashboard's links lead, without what follows."""
    assert done.exit_code == 0, done.stderr
    groups = yaml.safe_load(done.stdout)["groups"]
    urls = [rule["annotations"]["dashboard_url"] for g in groups for rule in g["rules"] if "alert" in rule]
    return {re.split(r"/(?:stuck|queues)\b", url)[0].rstrip("/") for url in urls}


def test_the_rules_are_printed_without_a_broker() -> None:
    done = printed()

    assert (done.exit_code, done.stdout) == (0, rules_text())


def test_celery_prints_them_without_an_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CELERY_APP", raising=False)
    done = CliRunner().invoke(celery_command, ["chords", "rules"], catch_exceptions=False)

    assert (done.exit_code, done.stdout) == (0, rules_text())


def test_the_option_is_stronger_than_the_setting_and_that_than_the_default() -> None:
    given = {"chordwatch_dashboard_url": "https://set.example/x/"}

    assert links(printed()) == {DASHBOARD_URL}
    assert links(printed(**given)) == {"https://set.example/x"}
    assert links(printed("--dashboard-url", "https://opt.example/", **given)) == {"https://opt.example"}


def test_the_runbook_is_the_one_that_is_given() -> None:
    done = printed("--runbook-url", "https://wiki.example/causes.md")

    assert yaml.safe_load(done.stdout) == rules(runbook_url="https://wiki.example/causes.md")
    assert RUNBOOK_URL not in done.stdout
    assert "https://wiki.example/alerts.md#chordwatchblind" in done.stdout


@pytest.mark.parametrize("option", ["--dashboard-url", "--runbook-url"])
@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "ftp://x",
        "http://",
        "http://x:0",
        "http://x y",
        "http://x?a=b",
        "http://x#a",
        "http://x\n",
    ],
)
def test_a_url_that_cannot_be_used_is_one_sentence(option: str, url: str) -> None:
    done = printed(option, url)

    assert (done.exit_code, done.stdout) == (USAGE, "")
    assert done.stderr.startswith(f"{option} must ")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith(".\n")


def test_a_setting_to_which_nothing_can_be_appended_is_refused() -> None:
    done = printed(chordwatch_dashboard_url="https://x/?a=b")

    assert (done.exit_code, done.stdout) == (USAGE, "")
    assert done.stderr.startswith("chordwatch_dashboard_url must not have a ? or a #")
