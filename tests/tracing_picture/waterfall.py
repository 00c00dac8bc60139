"""Draws the trace of a chord as SVG: a row for each span that takes time, readable on light and on dark. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from tests.support.otlp import Span

WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 960, 218, 150, 84, 27, 40
#: A bar shorter than this would not be seen.
THINNEST = 3.0
STYLE = """\
  svg { --back: #ffffff; --edge: #d1d9e0; --text: #1f2328; --soft: #59636e; --grid: #eaeef2;
        --caller: #818b98; --chord: #8250df; --run: #0969da; --slow: #bc4c00; --retry: #bf8700; --body: #1a7f37; }
  @media (prefers-color-scheme: dark) {
    svg { --back: #0d1117; --edge: #3d444d; --text: #f0f6fc; --soft: #9198a1; --grid: #21262d;
          --caller: #656c76; --chord: #ab7df8; --run: #4493f8; --slow: #f0883e; --retry: #d29922; --body: #3fb950; }
  }
  text { font: 12px ui-sans-serif, system-ui, "Segoe UI", sans-serif; fill: var(--text);
         paint-order: stroke; stroke: var(--back); stroke-width: 4px; }
  .soft { fill: var(--soft); font-size: 11px; }
  .head { font-size: 15px; font-weight: 600; }
  .grid { stroke: var(--grid); }
  .wait { stroke: var(--soft); stroke-dasharray: 2 3; }
  .link { fill: none; stroke: var(--body); stroke-opacity: .45; stroke-dasharray: 4 3; }
  .barrier { stroke: var(--chord); stroke-dasharray: 5 4; }
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a span, what published it (None where nothing did), its colour, and what is said beside it."""

    span: Span
    published: Span | None
    colour: str
    label: str
    remark: str


def waterfall(spans: list[Span]) -> str:
    """Return the picture of the one chord that these spans tell of."""
    [chord] = [span for span in spans if span.name.startswith("chord ")]
    rows = list(_rows(chord, [span for span in spans if span.trace_id == chord.trace_id]))
    start = min(row.span.start for row in rows)
    seconds = max(row.span.end for row in rows) - start
    return "\n".join(_Drawing(chord, rows, start, seconds).lines()) + "\n"


def _rows(chord: Span, spans: list[Span]) -> Iterator[Row]:
    """Yield the caller, the chord, the attempts of its header as they began, and its callback."""
    by_id = {span.span_id: span for span in spans}
    if caller := by_id.get(chord.parent_id or 0):
        yield Row(caller, None, "caller", caller.name, "")
    yield Row(chord, None, "chord", "  " + chord.name, "")
    straggler = chord.attributes.get("celery.chord.straggler.task_id")
    ran = [span for span in spans if span.kind == "CONSUMER"]
    for span in sorted(ran, key=lambda span: (bool(_is_callback(span)), span.start)):
        published = next((by_id[to.span_id] for to in span.links if _publishes(by_id.get(to.span_id))), None)
        retry = next((event for event in span.events if event.name == "retry"), None)
        index, attempt = span.attributes.get("celery.chord.index"), span.attributes["celery.task.attempt"]
        label = "    " + span.name + (f" #{index}" if index is not None else "")
        remark = f"attempt {attempt + 1}" if attempt or retry else ""
        colour = "body" if _is_callback(span) else "retry" if retry else "run"
        if colour == "run" and span.attributes["messaging.message.id"] == straggler:
            colour, remark = "slow", "straggler"
        yield Row(span, published, colour, label, remark + (", retried" if retry else ""))


def _is_callback(span: Span) -> bool:
    return span.attributes.get("celery.chord.role") == "callback"


def _publishes(span: Span | None) -> bool:
    return span is not None and span.kind == "PRODUCER"


class _Drawing:
    """The picture's lines; x counts seconds since the start of the trace, y rows."""

    def __init__(self, chord: Span, rows: list[Row], start: float, seconds: float) -> None:
        self._chord, self._rows, self._start = chord, rows, start
        self._seconds = seconds
        self._scale = (WIDTH - LEFT - RIGHT) / seconds
        self._bottom = TOP + ROW * len(rows)

    def lines(self) -> Iterator[str]:
        """Yield the lines of the file."""
        height = self._bottom + BOTTOM
        said = f"One trace of {self._chord.name}: its header's attempts, its barrier, and its callback"
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
        yield f"<title>{escape(said)}</title>\n<style>\n{STYLE}</style>"
        yield (
            f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8" '
            'fill="var(--back)" stroke="var(--edge)"/>'
        )
        yield self._text(20, 30, f"{self._chord.name}, one trace", "head")
        yield from self._legend()
        yield from self._axis()
        yield from self._links()
        for place, row in enumerate(self._rows):
            yield from self._row(row, TOP + ROW * place + ROW / 2)
        yield from self._barrier()
        yield "</svg>"

    def _x(self, at: float) -> float:
        return LEFT + (at - self._start) * self._scale

    def _text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
        class_ = f' class="{kind}"' if kind else ""
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{class_}>{escape(text)}</text>'

    def _bar(self, x: float, y: float, width: float, colour: str, height: float = 12) -> str:
        shape = f'x="{x:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" height="{height:g}" rx="2"'
        return f'<rect {shape} fill="var(--{colour})"/>'

    def _legend(self) -> Iterator[str]:
        x, y = 20.0, 54.0
        yield self._bar(x, y - 4, 3, "soft", 12)
        yield f'<line x1="{x + 5}" x2="{x + 28}" y1="{y - 4}" y2="{y - 4}" class="wait"/>'
        yield self._text(x + 34, y, "published, then waits", "soft")
        for at, colour, words in (
            (218, "run", "runs"),
            (276, "retry", "asks for a retry"),
            (392, "slow", "straggler"),
            (476, "body", "callback"),
        ):
            yield self._bar(at, y - 4, 14, colour, 10)
            yield self._text(at + 20, y, words, "soft")
        yield f'<path d="M 556 {y - 4} h 24" class="link"/>'
        yield self._text(586, y, "linked", "soft")

    def _axis(self) -> Iterator[str]:
        step = next(step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 600) if self._seconds / step <= 10)
        for number in range(int(self._seconds / step) + 1):
            x = self._x(self._start + number * step)
            yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{self._bottom}" class="grid"/>'
            yield self._text(x, self._bottom + 18, f"{number * step:g} s", "soft", "middle")

    def _row(self, row: Row, y: float) -> Iterator[str]:
        x, end = self._x(row.span.start), self._x(row.span.end)
        yield self._text(20 + 7 * (len(row.label) - len(row.label.lstrip())), y + 4, row.label.strip())
        if row.published:
            sent = self._x(row.published.start)
            yield f'<line x1="{sent:.1f}" x2="{x:.1f}" y1="{y}" y2="{y}" class="wait"/>'
            yield self._bar(sent, y, THINNEST, "soft")
        yield self._bar(x, y, max(end - x, THINNEST), row.colour)
        took = f"{row.span.end - row.span.start:.2f} s"
        yield self._text(
            max(end, x + THINNEST) + 6, y + 4, ", ".join(filter(None, (took, row.remark))), "soft"
        )

    def _links(self) -> Iterator[str]:
        places = {row.span.span_id: place for place, row in enumerate(self._rows)}
        for place, row in enumerate(self._rows):
            if not _is_callback(row.span):
                continue
            to, x = TOP + ROW * place + 8, self._x(row.span.start)
            for link in row.span.links:
                if link.span_id in places:
                    at, y = (
                        self._x(self._rows[places[link.span_id]].span.end),
                        TOP + ROW * places[link.span_id],
                    )
                    yield self._curve(at, y + ROW / 2, x, to)

    def _curve(self, x: float, y: float, to_x: float, to_y: float) -> str:
        bend = max((to_x - x) / 2, 8)
        return (
            f'<path d="M {x:.1f} {y:.1f} C {x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} '
            f'{to_x:.1f} {to_y:.1f}" class="link"/>'
        )

    def _barrier(self) -> Iterator[str]:
        seconds = self._chord.attributes.get("celery.chord.barrier_seconds")
        if seconds is None:
            return
        x = self._x(self._chord.start + seconds)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4}" y2="{self._bottom}" class="barrier"/>'
        yield self._text(x, TOP - 9, f"barrier {seconds:.2f} s", "soft", "middle")
