from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import Celery
from click.testing import CliRunner

from chordwatch.cli.config import command
from chordwatch.settings import SETTINGS


def printed(**conf: object) -> str:
    app = Celery("project", set_as_current=False)
    app.conf.update(conf)
    done = CliRunner(env={"COLUMNS": "400"}).invoke(
        command, obj=SimpleNamespace(app=app, no_color=True), catch_exceptions=False
    )
    assert done.exit_code == 0
    return done.output


def row(output: str, name: str) -> list[str]:
    return next(line.split() for line in output.splitlines() if line.startswith(f"chordwatch_{name} "))


def test_every_setting_is_printed_with_its_value_and_origin() -> None:
    output = printed(chordwatch_enabled="no", chordwatch_finished_retention=100_000)

    assert [line.split()[0] for line in output.splitlines()[1 : len(SETTINGS) + 1]] == [
        s.key for s in SETTINGS
    ]
    assert row(output, "enabled")[1:4] == ["false", "celery", "configuration"]
    assert row(output, "finished_retention")[1] == "100000"
    assert row(output, "buffer_size")[1:3] == ["100000", "default"]
    assert row(output, "flush_interval")[1:3] == ["0.05", "default"]


def test_no_password_is_printed() -> None:
    secret = "redis://user:open-sesame@{}/0?password=open-sesame".format
    output = printed(
        chordwatch_store_url=secret("store"),
        result_backend=secret("backend"),
        broker_url="redis://user:open-sesame@broker/0",
        chordwatch_dashboard_password="open-sesame",
    )

    assert row(output, "store_url")[1] == "redis://**@store/0"
    assert all(f"@{host}" in output for host in ("store", "broker", "backend"))
    assert row(output, "dashboard_password")[1] == "**"
    assert "open-sesame" not in output


def test_the_folders_of_dashboards_and_alert_rules_are_printed() -> None:
    lines = dict(
        line.rsplit(maxsplit=1) for line in printed().splitlines() if line.startswith(("Dash", "Alert"))
    )

    assert (Path(lines["Dashboards"]) / "app.py").is_file()
    assert (Path(lines["Alert rules"]) / "chords.rules.yml").is_file()


@pytest.mark.parametrize(
    ("conf", "store"),
    [
        ({"broker_url": "redis://b/0", "result_backend": "redis://r/1"}, "redis://b/0"),
        ({"broker_url": "amqp://b", "result_backend": "redis://r/1"}, "redis://r/1"),
        ({"broker_url": "amqp://b", "result_backend": "rpc://"}, "none. Neither the broker"),
        ({"broker_url": "redis://b/0", "chordwatch_store_url": "redis://s/0"}, "redis://s/0"),
    ],
)
def test_it_says_which_redis_is_the_store(conf: dict[str, object], store: str) -> None:
    line = next(line for line in printed(**conf).splitlines() if line.startswith("Store "))

    assert line.removeprefix("Store").strip().startswith(store)
