"""PromQL in small pieces: metrics are named as the catalogue has them, or building the rules fails. Pure."""

from __future__ import annotations

from chordwatch.metrics.catalogue import METRICS

_OF_A_HISTOGRAM = ("_bucket", "_sum", "_count")


def metric(name: str, **matchers: str) -> str:
    """Return a selector: `metric("celery_chord_unhealthy", health="hung")`.

    Raises:
        KeyError: the catalogue has no such metric.
        ValueError: it has no such label, or the label no such value.
    """
    known = METRICS[_family(name)]
    for label, value in matchers.items():
        if label not in known.labels or value not in known.values.get(label, (value,)):
            raise ValueError(f"{name} has no {label}={value}")
    inner = ", ".join(f'{label}="{value}"' for label, value in matchers.items())
    return f"{name}{{{inner}}}" if inner else name


def greatest(labels: str, selector: str) -> str:
    """Return one series for each value of `labels`, whichever of several monitors tells it."""
    return f"max by ({labels}) ({selector})"


def duration(seconds: float) -> str:
    """Return a duration as Prometheus writes it, to the millisecond."""
    milliseconds = round(seconds * 1000)
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % length == 0:
            return f"{milliseconds // length}{unit}"
    return f"{milliseconds}ms"


def words(seconds: float) -> str:
    """Return a duration for people: `30 minutes`."""
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds and seconds % length == 0:
            count = round(seconds / length)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{number(seconds)} seconds"


def number(value: float) -> str:
    """Return a number without digits that say nothing."""
    return f"{value:.12g}"


def _family(name: str) -> str:
    stem = next((name.removesuffix(end) for end in _OF_A_HISTOGRAM if name.endswith(end)), name)
    return stem if stem in METRICS and METRICS[stem].kind == "histogram" else name
