"""The dashboard's modules are found as Streamlit finds them: by their folder on sys.path."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

HERE = Path(__file__).parent
DASHBOARDS = HERE.parents[2] / "dashboards"

for folder in (DASHBOARDS, HERE):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

if TYPE_CHECKING:
    from dashboard_fakes import FakeSource
    from streamlit.testing.v1 import AppTest


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    """Return a function that draws a page (`overview`, `chord`, ...) of the dashboard on what a fake source answers.

    Its other arguments are the query parameters. An exception in place of the source is raised where it is opened.
    """
    streamlit = pytest.importorskip("streamlit", reason="Streamlit is not installed: the extra `dashboard`")
    import chord_source  # noqa: PLC0415  # after the skip
    from streamlit.testing.v1 import AppTest  # noqa: PLC0415  # after the skip

    streamlit.cache_resource.clear()

    def open_page(page: str, source: FakeSource | Exception, **query: str) -> AppTest:
        def open_source() -> FakeSource:
            if isinstance(source, Exception):
                raise source
            return source

        monkeypatch.setattr(chord_source, "open_source", open_source)
        app = AppTest.from_file(str(DASHBOARDS / "app.py"), default_timeout=30)
        if page != "overview":
            app.run()
            app.switch_page(f"app_pages/{page}.py")
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    yield open_page
    streamlit.cache_resource.clear()
