from __future__ import annotations

from types import SimpleNamespace

import click
import pytest

from chordwatch.cli import session
from tests.unit.cli.rendered import sighting, verdict, with_verdicts

REMEDY = "Look (celery -A proj chords results group), then celery -A proj call zoo.collect."
QUESTION = "What does `celery -A proj inspect conf` say?"


def called(app: object) -> click.Context:
    """Return the context of a subcommand of `celery -A app`."""
    celery = click.Context(click.Command("celery"), obj=SimpleNamespace(no_color=True))
    celery.params = {"app": app}
    return click.Context(click.Command("show"), parent=celery)


@pytest.mark.parametrize(
    ("app", "shown"),
    [
        ("shop", "celery -A shop "),
        ("shop.main:app", "celery -A shop.main:app "),
        ("my shop; reboot", "celery -A 'my shop; reboot' "),
        (r"shop\1", r"celery -A 'shop\1' "),
        (None, "celery -A proj "),
        (SimpleNamespace(main="shop"), "celery -A proj "),
    ],
)
def test_commands_name_the_app_that_was_named(app: object, shown: str) -> None:
    seen = with_verdicts(sighting(), verdict(remedy=REMEDY, question=QUESTION), verdict(question=None))

    first, second = session.for_app(called(app), seen).chord.verdicts

    assert first.remedy == REMEDY.replace("celery -A proj ", shown)
    assert first.question == QUESTION.replace("celery -A proj ", shown)
    assert (second.remedy, second.question) == ("Start a worker.", None)
