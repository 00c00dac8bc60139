"""A recording laid out on promtool's clock, which starts at 0: stretched, cut, and written as its input series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tests.alerts.recording import Recording, Value, load, metric_of

#: In a sample that is repeated the last look is as old as it was, if looks went on; other moments stay where they are.
_LOOKED_AT = "chordwatch_scan_timestamp_seconds"
_MOMENT = "_timestamp_seconds"
_LABELS = {"job": "chords", "instance": "monitor:9809"}
_Row = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Column:
    """A scrape: the number of the recorded one, and what it shows."""

    number: int
    up: float
    row: _Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Scrapes one after another; `moments` are the numbers of the first ones after something was done.

    `notes` say what was done to the recording.
    """

    recording: Recording
    columns: tuple[_Column, ...]
    moments: Mapping[str, int]
    notes: tuple[str, ...] = ()

    @property
    def end(self) -> float:
        """Seconds from the start to the last scrape."""
        return (len(self.columns) - 1) * self.recording.interval

    def seconds(self, moment: str) -> float:
        """Seconds from the start to the first scrape after a moment.

        `start` and `end` are moments, too; `over` is the end of what was recorded.
        """
        return self._place(moment) * self.recording.interval

    def held(self, moment: str, seconds: float) -> Timeline:
        """Repeat the last sample before a moment, or the last of all before `end`, for so many seconds."""
        place = self._place(moment)
        note = f"the last sample before {moment!r} is repeated for {seconds:g} s"
        return self._inserted(place, [self.columns[place - 1]] * self._scrapes(seconds), note)

    def dead(self, moment: str, seconds: float, *, then: float = 0.0) -> Timeline:
        """Put a monitor's absence before a moment, and `then` for so many seconds what it showed last.

        The absence is between the moments `gone` and `back`.
        """
        place, scrapes = self._place(moment), self._scrapes(seconds)
        shown = self.columns[place - 1]
        absence = _Column(shown.number, 0.0, {})
        note = f"the monitor is gone for {seconds:g} s before {moment!r}"
        note += f" and then shows for {then:g} s what it showed last" if then else ""
        longer = self._inserted(place, [absence] * scrapes + [shown] * self._scrapes(then), note)
        return replace(longer, moments={**longer.moments, "gone": place, "back": place + scrapes})

    def until(self, moment: str) -> Timeline:
        """Forget what comes after a moment."""
        kept = self._place(moment)
        moments = {name: place for name, place in self.moments.items() if place <= kept}
        return replace(self, columns=self.columns[:kept], moments=moments)

    def since(self, moment: str) -> Timeline:
        """Forget what comes before a moment."""
        first = self._place(moment)
        moments = {name: place - first for name, place in self.moments.items() if place >= first}
        return replace(self, columns=self.columns[first:], moments=moments)

    def without(self, metric: str, *, begin: str = "start", end: str = "end", having: str = "") -> Timeline:
        """Take the series of a metric whose labels hold `having` away between two moments."""
        place, until = self._place(begin), self._place(end)
        columns = (
            replace(column, row={name: v for name, v in column.row.items() if not _is(name, metric, having)})
            if place <= number < until
            else column
            for number, column in enumerate(self.columns)
        )
        note = f"{metric}{'{' + having + '}' if having else ''} is taken away from {begin!r} to {end!r}"
        return replace(self, columns=tuple(columns), notes=(*self.notes, note))

    def marked(self, moment: str, after: str, seconds: float) -> Timeline:
        """Name the moment that is so many seconds after another."""
        place = self._place(after) + self._scrapes(seconds)
        return replace(self, moments={**self.moments, moment: place})

    def series(self, **labels: str) -> Iterator[tuple[str, str]]:
        """Yield each series, with a target's labels, and its values in promtool's notation."""
        target = ",".join(f'{name}="{value}"' for name, value in {**_LABELS, **labels}.items())
        yield f"up{{{target}}}", notation([column.up for column in self.columns])
        for series in sorted({series for column in self.columns for series in column.row}):
            own = series.partition("{")[2].rstrip("}")
            name = f"{metric_of(series)}{{{own + ',' if own else ''}{target}}}"
            yield name, notation([self._value(place, series) for place in range(len(self.columns))])

    def value(self, metric: str, having: str, seconds: float) -> float:
        """Return what the only series of a metric whose labels hold `having` shows so many seconds from the start."""
        place = self._scrapes(seconds)
        (series,) = (name for name in self.columns[place].row if _is(name, metric, having))
        value = self._value(place, series)
        assert value is not None
        return value

    def _value(self, place: int, series: str) -> Value:
        column = self.columns[place]
        value = column.row.get(series)
        if value is None or not metric_of(series).endswith(_MOMENT):
            return value
        if metric_of(series) == _LOOKED_AT and value != self._before(column.number, series):
            return round(self._began(place) + value - self._scraped(column.number), 3)
        return round(self._when(value), 3)

    def _before(self, number: int, series: str) -> Value:
        return self.recording.series[series][number - 1] if number else None

    def _when(self, unix: float) -> float:
        """Return where a moment of the recording is on this clock."""
        number = int((unix - self.recording.started_at) // self.recording.interval)
        first = {column.number: place for place, column in reversed([*enumerate(self.columns)])}
        return self._began(first.get(number, number)) + unix - self._scraped(number)

    def _began(self, place: int) -> float:
        return place * self.recording.interval

    def _scraped(self, number: int) -> float:
        return self.recording.started_at + number * self.recording.interval

    def _scrapes(self, seconds: float) -> int:
        return round(seconds / self.recording.interval)

    def _place(self, moment: str) -> int:
        return {"start": 0, "end": len(self.columns), **self.moments}[moment]

    def _inserted(self, place: int, more: Sequence[_Column], note: str) -> Timeline:
        columns = (*self.columns[:place], *more, *self.columns[place:])
        later = place if place < len(self.columns) else place + 1
        moments = {
            name: number + len(more) if number >= later else number for name, number in self.moments.items()
        }
        return replace(self, columns=columns, moments=moments, notes=(*self.notes, note))


def recorded(scene: str) -> Timeline:
    """Return the timeline of a scene as it was recorded."""
    return timeline_of(load(scene))


def timeline_of(recording: Recording) -> Timeline:
    """Return a recording's timeline, with nothing changed."""
    columns = tuple(
        _Column(
            number,
            up,
            {name: v for name, values in recording.series.items() if (v := values[number]) is not None},
        )
        for number, up in enumerate(recording.up)
    )
    moments = {**recording.moments, "over": len(columns)}
    return Timeline(recording=recording, columns=columns, moments=moments)


def _is(series: str, metric: str, having: str) -> bool:
    return metric_of(series) == metric and having in series


def notation(values: Sequence[Value]) -> str:
    """Return values in promtool's notation; one that vanishes is marked stale, as Prometheus does."""
    words: list[str] = []
    place = 0
    while place < len(values):
        length = _run(values, place)
        words += _words(values, place, length)
        place += length
    return " ".join(words)


def _run(values: Sequence[Value], start: int) -> int:
    """Return how many values from here on are absent, or grow by the same number each."""
    if values[start] is None:
        return next(
            (n for n in range(1, len(values) - start) if values[start + n] is not None), len(values) - start
        )
    length = 1
    while (
        start + length < len(values) and _step(values, start) == _step(values, start + length - 1) is not None
    ):
        length += 1
    # Two that differ are read more easily as two.
    return 1 if length == 2 and _step(values, start) else length


def _step(values: Sequence[Value], place: int) -> float | None:
    one, next_one = values[place], values[place + 1]
    return None if one is None or next_one is None else round(next_one - one, 3)


def _words(values: Sequence[Value], start: int, length: int) -> Iterator[str]:
    first = values[start]
    if first is None:
        if start:
            yield "stale"
            length -= 1
        if length:
            yield f"_x{length}"
    elif length == 1:
        yield _number(first)
    else:
        step = _step(values, start) or 0.0
        growth = f"{'+' if step > 0 else ''}{_number(step)}" if step else ""
        yield f"{_number(first)}{growth}x{length - 1}"


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
