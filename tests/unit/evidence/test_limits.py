from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery

from chordwatch.errors import UnsupportedError
from chordwatch.evidence.broker import transport_of
from chordwatch.evidence.facts import Limits
from chordwatch.evidence.limits import limits_of


@pytest.fixture
def limits() -> Callable[..., Limits]:
    def of(broker: str = "redis://127.0.0.1:1/0", **conf: Any) -> Limits:
        with Celery("limits", broker=broker, set_as_current=False) as app:
            app.conf.update(conf)
            return limits_of(app)

    return of


def test_the_defaults_are_those_of_celery_and_kombu(limits: Callable[..., Limits]) -> None:
    assert limits() == Limits(visibility_timeout=3600.0, chord_expires=86400.0, result_expires=86400.0)


def test_what_is_configured_holds(limits: Callable[..., Limits]) -> None:
    assert limits(
        broker_transport_options={"visibility_timeout": 60},
        result_expires=timedelta(hours=1),
        result_chord_expires=20,
        task_time_limit="300",
    ) == Limits(visibility_timeout=60.0, chord_expires=20.0, result_expires=3600.0, task_time_limit=300.0)


def test_chords_live_as_long_as_results(limits: Callable[..., Limits]) -> None:
    assert limits(result_expires=20).chord_expires == 20.0


def test_nought_is_no_limit(limits: Callable[..., Limits]) -> None:
    found = limits(result_expires=0, task_time_limit=0)

    assert (found.result_expires, found.chord_expires, found.task_time_limit) == (None, None, None)


def test_another_broker_has_no_visibility_timeout(limits: Callable[..., Limits]) -> None:
    assert limits("amqp://127.0.0.1:1//").visibility_timeout is None
    assert limits("sentinel://127.0.0.1:1/0").visibility_timeout == 3600.0


def test_what_is_no_number_is_not_known(limits: Callable[..., Limits]) -> None:
    assert limits(task_time_limit="soon").task_time_limit is None


@pytest.mark.parametrize(
    ("broker", "told"),
    [
        ("redis://127.0.0.1:notaport/1", "The broker's URL cannot be read: "),
        ("redis://bob:s3cret/x@127.0.0.1:6379/1", "The broker's URL cannot be read: "),
        ("redis://127.0.0.1:99999/1", "The broker's URL cannot be read: "),
        ("nonsense://x", "The broker's URL begins with no transport that is known; "),
        ("no.such.module.Transport://x", "The broker's URL cannot be read: "),
    ],
)
def test_a_broker_of_which_nothing_can_be_made_is_a_sentence(
    limits: Callable[..., Limits], broker: str, told: str
) -> None:
    with pytest.raises(UnsupportedError) as raised:
        limits(broker)

    assert str(raised.value).startswith(told)
    assert str(raised.value).endswith(" with -b or -A.")
    assert "s3cret" not in str(raised.value)


def test_nor_of_the_url_for_writing() -> None:
    app = Celery("project", broker="redis://127.0.0.1:1/0", set_as_current=False)
    app.conf.broker_write_url = "nonsense://bob:s3cret@x"

    assert transport_of(app) == "redis"
    with pytest.raises(UnsupportedError, match=r"^The broker's URL begins with no transport that is known;"):
        transport_of(app, writing=True)


def test_a_transport_that_lacks_its_library_is_a_sentence(
    limits: Callable[..., Limits], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'botocore'")

    monkeypatch.setattr(Celery, "connection_for_read", lacking)

    with pytest.raises(
        UnsupportedError, match=r"^The broker's transport cannot be loaded \(ModuleNotFoundError\); "
    ):
        limits("sqs://key:secret@")
