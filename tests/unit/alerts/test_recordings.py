"""The recordings are of metrics that exist, of every scene, and are laid out on promtool's clock as they were."""

from __future__ import annotations

import json
import re

import pytest

from chordwatch.metrics.catalogue import METRICS
from tests.alerts.record import read_by_rules
from tests.alerts.recording import FOLDER, Recording, load, metric_of
from tests.alerts.scenes import SCENES
from tests.alerts.timeline import Timeline, notation, timeline_of

RECORDED = sorted(path.stem for path in FOLDER.glob("*.yml"))
_PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*")')


def family(series: str) -> str:
    name = metric_of(series)
    return name if name in METRICS else re.sub(r"_(bucket|sum|count)$", "", name)


def test_every_scene_is_recorded_and_no_other() -> None:
    assert set(RECORDED) == set(SCENES)


@pytest.mark.parametrize("scene", RECORDED)
def test_a_recording_has_series_of_the_catalogue(scene: str) -> None:
    recording = load(scene)
    assert recording.series
    for series, values in recording.series.items():
        metric = METRICS[family(series)]
        labels = {name: json.loads(value) for name, value in _PAIR.findall(series)}

        assert set(labels) == set(metric.labels), series
        assert all(labels[name] in values for name, values in metric.values.items()), series
        assert len(values) == len(recording)
    assert set(recording.moments.values()) <= set(range(len(recording)))


def test_every_metric_that_the_rules_read_is_recorded_somewhere() -> None:
    recorded = {family(series) for scene in RECORDED for series in load(scene).series}

    assert {name for name in map(family, read_by_rules()) if name in METRICS} <= recorded


@pytest.fixture
def recording() -> Recording:
    """Five scrapes, of which one failed, from Unix time 1000 on."""
    return Recording(
        scene="scene",
        about="Something happens.",
        version="1",
        interval=5.0,
        started_at=1000.0,
        moments={"done": 3},
        up=(1.0, 1.0, 0.0, 1.0, 1.0),
        series={
            'lost{name="a \\"b\\""}': (None, 0.0, None, 2.5, 2.5),
            "chordwatch_scan_timestamp_seconds{}": (999.0, 1004.0, None, 1014.0, 1014.0),
            "celery_chord_oldest_open_timestamp_seconds{}": (None, 1003.0, None, 1003.0, 1016.0),
        },
    )


def shown(timeline: Timeline) -> dict[str, str]:
    return {metric_of(name): values for name, values in timeline.series()}


def test_a_recording_is_read_as_it_was_written(
    recording: Recording, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("recorded")

    recording.save(folder)

    assert load("scene", folder) == recording


def test_times_are_those_of_promtools_clock(recording: Recording) -> None:
    timeline = timeline_of(recording)

    assert dict(timeline.series(job="x"))['lost{name="a \\"b\\"",job="x",instance="monitor:9809"}'] == (
        "_x1 0 stale 2.5x1"
    )
    assert shown(timeline)["up"] == "1x1 0 1x1"
    assert shown(timeline)["chordwatch_scan_timestamp_seconds"] == "-1 4 stale 14x1"
    assert shown(timeline)["celery_chord_oldest_open_timestamp_seconds"] == "_x1 3 stale 3 16"


def test_a_sample_is_repeated_and_looks_go_on_meanwhile(recording: Recording) -> None:
    held = timeline_of(recording).held("end", 10).held("done", 0)
    looking = timeline_of(recording).until("done").held("end", 0)

    assert shown(held)["lost"] == "_x1 0 stale 2.5x3"
    assert shown(held)["chordwatch_scan_timestamp_seconds"] == "-1 4 stale 14x3"  # it had stopped
    assert len(looking.columns) == 3
    more = timeline_of(recording).marked("seen", "start", 10).held("seen", 10)
    assert shown(more)["chordwatch_scan_timestamp_seconds"] == "-1+5x3 stale 24x1"
    assert shown(more)["celery_chord_oldest_open_timestamp_seconds"] == "_x1 3x2 stale 3 26"
    assert more.seconds("done") == 25


def test_a_monitor_is_gone_and_back(recording: Recording) -> None:
    dead = timeline_of(recording).dead("done", 10, then=5)

    assert shown(dead)["up"] == "1x1 0x3 1x1"
    assert (dead.seconds("gone"), dead.seconds("back"), dead.seconds("done")) == (15, 25, 30)


def test_absent_values_are_marked_once_where_they_vanish() -> None:
    assert notation([None, None, 1.0, None, None, None, 0.0, 2.0, 4.0]) == "_x2 1 stale _x2 0+2x2"
    assert notation([3.0, 5.0]) == "3 5"
    assert notation([5.0, 3.0, 1.0]) == "5-2x2"
