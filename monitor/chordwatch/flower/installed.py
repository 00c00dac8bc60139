"""Puts chords into Flower before it starts: its addresses, its navigation bar, its list of tasks.

All that is known of Flower's inside stands here, in `annotated` and in `page`; checked with Flower 2.0.1 and 2.2.0.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from flower import urls
from flower.views import tasks
from tornado.template import Loader, Template
from tornado.web import url

from chordwatch.flower import annotated
from chordwatch.flower.page import ChordsView

logger = logging.getLogger(__name__)

TEMPLATES = Path(__file__).with_name("templates")
_NAVIGATION = "navbar.html"
_ENTRY = re.compile(
    r"""<li class="nav-item">\s*<a [^>]*\{\{ reverse_url\('broker'\) \}\}.*?</a>\s*</li>""", re.DOTALL
)
_WITH_CHORDS = {
    tasks.TaskView: annotated.TaskView,
    tasks.TasksDataTable: annotated.TasksDataTable,
}


def add_chords() -> None:
    """Add the page `/chords`, its entry in the navigation bar, and the column `chord` of the list of tasks.

    To be called in Flower's config file, which Flower runs before it starts. A second call changes nothing.
    """
    if any(getattr(handler, "name", None) == "chords" for handler in urls.handlers):
        return
    urls.handlers[:] = [url(r"/chords", ChordsView, name="chords"), *map(_with_chords, urls.handlers)]
    urls.settings["template_loader"] = Templates(urls.settings["template_path"])
    columns = getattr(tasks, "TASK_COLUMNS", None)  # Flower 2.2; before, columns could not be added
    if columns is not None:
        columns["chord"] = "Chord"


def with_entry(navigation: str) -> str:
    """Return the source of Flower's navigation bar with an entry for chords, made like the one before it."""
    last = _ENTRY.search(navigation)
    if last is None:
        logger.warning(
            "This Flower's navigation bar is not known: the page is at /chords without an entry in it."
        )
        return navigation
    entry = last[0].replace("broker", "chords").replace("Broker", "Chords")
    return f"{navigation[: last.end()]}\n        {entry}{navigation[last.end() :]}"


class Templates(Loader):
    """Flower's templates and ours."""

    def _create_template(self, name: str) -> Template:
        own = TEMPLATES / name
        if own.is_file():
            return Template(own.read_bytes(), name=name, loader=self)
        if name == _NAVIGATION:
            return Template(with_entry(Path(self.root, name).read_text("utf-8")), name=name, loader=self)
        return super()._create_template(name)


def _with_chords(handler: Any) -> Any:
    replaced = _WITH_CHORDS.get(getattr(handler, "handler_class", None))
    return url(handler.regex.pattern, replaced, handler.kwargs, handler.name) if replaced else handler
