"""Reading a page that AppTest drew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: Elements whose text the browser shows as it is; everything else is Markdown.
LITERAL_ELEMENTS = {"arrow_data_frame", "dataframe", "text", "arrow_vega_lite_chart", "vega_lite_chart"}
#: Elements of which one part is shown as it is, and the part that is Markdown.
MARKDOWN_OF = {"page_link": "label", "selectbox": "label", "text_input": "label"}


def texts(elements: Any) -> list[str]:
    """Return the values of some elements."""
    return [element.value for element in elements]


def links(page: Any) -> dict[str, str]:
    """Return the query of each link to a page by its label."""
    return {element.proto.label: element.proto.query_string for element in page.get("page_link")}


def assert_only_literal(page: Any, foreign: str = "zebra") -> None:
    """Fail where a foreign text stands in what the browser parses."""
    parsed = [element for element in _elements(page.main) if element.type not in LITERAL_ELEMENTS]
    assert parsed
    for element in parsed:
        markdown = (
            getattr(element.proto, MARKDOWN_OF[element.type])
            if element.type in MARKDOWN_OF
            else element.proto
        )
        assert foreign not in str(markdown), element


def _elements(block: Any) -> Iterator[Any]:
    for child in block.children.values():
        if hasattr(child, "children"):
            yield from _elements(child)
        else:
            yield child
