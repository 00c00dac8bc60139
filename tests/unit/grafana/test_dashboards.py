"""The Grafana dashboards are whole: variables, links, places on the grid, and words where there is nothing to show."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import yaml

from chordwatch.metrics.alerts import DASHBOARD_URL, RUNBOOK_URL
from tests.support.grafana import DASHBOARDS, FOLDER, QUERIES, panels
from tests.support.servers import ROOT

#: What Grafana itself defines in queries and links.
BUILT_IN = {"__rate_interval", "__range", "__url_time_range", "__all"}
VARIABLE = re.compile(r"\$\{?(\w+)")
#: What Grafana adds when it saves: of no meaning elsewhere, and different each time.
NOISE = {"id", "version", "iteration", "pluginVersion", "__inputs", "__requires", "gnetId"}
ORDER = ("title", "description", "type", "datasource", "gridPos", "targets", "fieldConfig", "options")
PANELS = [(name, panel) for name, dashboard in DASHBOARDS.items() for panel in panels(dashboard)]

each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
each_panel = pytest.mark.parametrize(
    "panel", [panel for _, panel in PANELS], ids=[f"{name}: {panel['title']}" for name, panel in PANELS]
)


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a document, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def variables(dashboard: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def links(panel: dict[str, Any]) -> list[str]:
    config = panel["fieldConfig"]
    by_field = [p["value"] for o in config["overrides"] for p in o["properties"] if p["id"] == "links"]
    return [link["url"] for found in (config["defaults"].get("links", []), *by_field) for link in found]


def test_there_are_two_dashboards_with_names_of_their_own() -> None:
    assert set(DASHBOARDS) == {"chords-overview", "chords-by-callback"}
    for what in ("uid", "title"):
        assert len({dashboard[what] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)


@each_dashboard
def test_every_variable_that_is_used_exists_and_every_one_is_used(dashboard: dict[str, Any]) -> None:
    used = {name for text in texts(dashboard) for name in VARIABLE.findall(text)}
    fields = {name for name in used if name.startswith(("__value", "__field", "__data"))}

    assert used - fields - BUILT_IN == set(variables(dashboard))


@each_dashboard
def test_links_lead_to_the_same_addresses_as_those_of_alerts(dashboard: dict[str, Any]) -> None:
    defaults = {"dashboard_url": DASHBOARD_URL, "runbook_url": RUNBOOK_URL}

    for name, url in defaults.items():
        variable = variables(dashboard)[name]
        assert variable["type"] == "textbox"
        assert variable["query"] == variable["current"]["value"] == variable["current"]["text"] == url


@each_dashboard
def test_variables_take_their_values_from_the_chosen_prometheus(dashboard: dict[str, Any]) -> None:
    found = variables(dashboard)
    asked = [variable for variable in found.values() if variable["type"] == "query"]

    assert found["datasource"] | {"type": "datasource", "query": "prometheus"} == found["datasource"]
    assert [variable["name"] for variable in asked] == ["job", "callback"]
    for variable in asked:
        assert variable["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert variable["query"].startswith("label_values(")
        assert variable["query"].endswith(f", {variable['name']})")
        assert variable["multi"]
        assert variable["includeAll"]


@each_dashboard
def test_panels_lie_on_the_grid_and_none_covers_another(dashboard: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = [
        {(x, y) for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])}
        for p in places
    ]

    assert all(p["x"] + p["w"] <= 24 for p in places)
    assert all(not one & other for one, other in combinations(cells, 2))
    # No gap either: Grafana would move what is below upwards.
    assert len(set().union(*cells)) == 24 * max(p["y"] + p["h"] for p in places)


@each_dashboard
def test_what_grafana_fills_in_itself_is_left_out(dashboard: dict[str, Any]) -> None:
    assert not NOISE & set(dashboard).union(*dashboard["panels"])


@each_dashboard
def test_no_title_stands_twice(dashboard: dict[str, Any]) -> None:
    assert max(Counter(panel["title"] for panel in dashboard["panels"]).values()) == 1


@each_panel
def test_a_panel_says_what_it_shows_in_which_unit_and_what_it_means_that_nothing_is_there(
    panel: dict[str, Any],
) -> None:
    defaults = panel["fieldConfig"]["defaults"]

    assert re.fullmatch(r"[A-Z0-9][^.]*\.", panel["description"]), "one sentence"
    assert defaults["unit"]
    assert defaults["noValue"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@each_panel
def test_a_panel_is_written_down_in_the_usual_order(panel: dict[str, Any]) -> None:
    assert [key for key in panel if key in ORDER] == list(ORDER)
    assert set(panel) - set(ORDER) <= {"transformations"}
    assert [target["refId"] for target in panel["targets"]] == list("ABCDE")[: len(panel["targets"])]


@each_panel
def test_a_number_of_this_moment_is_asked_for_this_moment(panel: dict[str, Any]) -> None:
    """A span's last value would still be shown when the series has long gone."""
    now = panel["type"] in {"stat", "table"}

    assert all(target.get("instant", False) is now for target in panel["targets"])


@each_panel
def test_links_lead_to_the_dashboard_to_a_cause_or_to_the_other_dashboard(panel: dict[str, Any]) -> None:
    uids = "|".join(dashboard["uid"] for dashboard in DASHBOARDS.values())
    name = r"\$\{__(?:data\.fields|field\.labels)\.(\w+):percentencode\}"
    stuck = rf"\$\{{dashboard_url:raw\}}/stuck(?:\?(?:(?:callback|cause)={name}&?)+)?"
    cause = r"\$\{runbook_url:raw\}#\$\{__value\.text:percentencode\}"
    other = rf"/d/(?:{uids})\?\$\{{job:queryparam\}}&var-callback={name}&\$\{{__url_time_range\}}"

    for url in links(panel):
        assert re.fullmatch(f"{stuck}|{cause}|{other}", url)
        # A link says what it names: a value of another label would lead to other chords.
        assert all(key == label for key, label in re.findall(rf"(callback|cause)={name}", url))


def test_stuck_chords_are_a_click_away() -> None:
    assert sum("/stuck?" in url for _, panel in PANELS for url in links(panel)) >= 4
    assert sum("runbook_url" in url for _, panel in PANELS for url in links(panel)) >= 2


def test_each_dashboard_has_queries() -> None:
    assert min(Counter(query.dashboard for query in QUERIES).values()) >= 15


def read(path: str) -> Any:
    return yaml.safe_load((FOLDER / path).read_text(encoding="utf-8"))


def test_grafana_finds_the_files_where_they_are_mounted() -> None:
    [provider] = read("provisioning/dashboards/chordwatch.yml")["providers"]
    grafana = read("compose.yml")["services"]["grafana"]
    [volume] = grafana["volumes"]
    source, target, mode = volume.split(":")
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")

    assert (ROOT / source).resolve() == FOLDER
    assert provider["type"] == "file"
    assert provider["options"]["path"] == target
    assert mode == "ro"
    assert grafana["environment"]["GF_PATHS_PROVISIONING"] == f"{target}/provisioning"
    assert f"/dashboards/grafana:{target}:ro" in readme
    assert f"GF_PATHS_PROVISIONING={target}/provisioning" in readme
    assert grafana["image"] in readme


def test_the_data_source_is_the_prometheus_of_the_demo() -> None:
    [source] = read("provisioning/datasources/prometheus.yml")["datasources"]
    grafana = read("compose.yml")["services"]["grafana"]
    prometheus = yaml.safe_load((ROOT / "prometheus.yml").read_text(encoding="utf-8"))

    assert source["type"] == "prometheus"
    assert source["url"] == "$PROMETHEUS_URL"
    assert grafana["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]


def test_grafana_is_published_to_this_machine_only_and_reports_to_nobody() -> None:
    grafana = read("compose.yml")["services"]["grafana"]
    telling = {
        key: value for key, value in grafana["environment"].items() if "ANALYTICS" in key or "NEWS" in key
    }

    assert grafana["ports"] == ["127.0.0.1:3000:3000"]
    assert set(telling.values()) == {"false"}
    assert len(telling) == 4


def test_the_files_are_json_that_a_person_can_review() -> None:
    for path in FOLDER.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert max(map(len, text.splitlines())) < 500
        assert json.dumps(json.loads(text))
        assert not re.search(r"\s+$", text[:-1], re.MULTILINE)
