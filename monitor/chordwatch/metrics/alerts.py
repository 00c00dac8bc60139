"""The alert rules as a document and as the text of `alerts/chords.rules.yml`. Pure but for its command.

`python -m chordwatch.metrics.alerts FILE` writes the text with the defaults.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chordwatch.metrics import alert_rules, recordings
from chordwatch.metrics.alert_rules import Alert
from chordwatch.metrics.promql import duration
from chordwatch.metrics.recordings import Recording
from chordwatch.metrics.rules_yaml import Commented, text
from chordwatch.metrics.thresholds import Thresholds

__all__ = ["DASHBOARD_URL", "RUNBOOK_URL", "Thresholds", "rules", "rules_text"]

DASHBOARD_URL = "http://127.0.0.1:8501"
RUNBOOK_URL = "https://github.com/chordwatch/chordwatch/blob/main/docs/causes.md"
_CAUSES, _ALERTS = "causes.md", "alerts.md"
#: Labels that the dashboard's page of stuck chords has a filter of another name for.
_FILTERS = {"queue_name": "queue"}
_HEAD = """\
Recording and alert rules of chordwatch. Made by `celery -A proj chords rules`, which puts in your own addresses.
docs/alerts.md says what each alert means and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Links:
    """Where alerts lead; a brace in an address would begin a template."""

    dashboard: str
    runbook: str

    def of(self, alert: Alert) -> dict[str, str]:
        return {"runbook_url": self._runbook(alert), "dashboard_url": self._dashboard(alert)}

    def _runbook(self, alert: Alert) -> str:
        base = _literal(self.runbook)
        if alert.cause:
            return f"{base}#{alert.cause if alert.cause != '$' else '{{ $labels.cause }}'}"
        page = base.removesuffix(_CAUSES) + _ALERTS if base.endswith(f"/{_CAUSES}") else base
        return f"{page}#{alert.name.lower()}"

    def _dashboard(self, alert: Alert) -> str:
        base = _literal(self.dashboard).rstrip("/")
        wanted = "&".join(
            f"{_FILTERS.get(label, label)}={{{{ $labels.{label} | urlquery }}}}" for label in alert.filters
        )
        return f"{base}/{alert.page}?{wanted}" if wanted else f"{base}/{alert.page}"


def rules(
    thresholds: Thresholds | None = None,
    *,
    dashboard_url: str = DASHBOARD_URL,
    runbook_url: str = RUNBOOK_URL,
) -> dict[str, Any]:
    """Return the rules as Prometheus' document has them.

    An alert about a cause leads to `runbook_url#cause`. Where `runbook_url` ends in causes.md, the others lead to the
    alerts.md beside it.
    """
    at, links = thresholds or Thresholds(), _Links(dashboard=dashboard_url, runbook=runbook_url)
    groups = (
        (
            "chordwatch",
            "Chords, queues and workers. Rules are evaluated in this order, and the alerts need the records before.",
            (*recordings.sight(at), *recordings.holding(), recordings.wrong_results(), recordings.wasted(at)),
            (
                *alert_rules.chord_alerts(at),
                *alert_rules.share_alerts(at),
                *alert_rules.installation_alerts(at),
            ),
        ),
        (
            "chordwatch-monitor",
            "chordwatch itself: whether anybody watches.",
            (recordings.monitors(),),
            alert_rules.monitor_alerts(at),
        ),
    )
    return {
        "groups": [
            Commented(comment, {"name": name, "rules": [*_recorded(records), *_alerting(alerts, links)]})
            for name, comment, records, alerts in groups
        ]
    }


def rules_text(
    thresholds: Thresholds | None = None,
    *,
    dashboard_url: str = DASHBOARD_URL,
    runbook_url: str = RUNBOOK_URL,
) -> str:
    """Return the same as YAML with comments, for people."""
    document = rules(thresholds, dashboard_url=dashboard_url, runbook_url=runbook_url)
    return text(Commented(_HEAD, document))


def _recorded(records: Iterable[Recording]) -> Iterator[dict[str, Any]]:
    for each in records:
        yield Commented(each.comment, {"record": each.record, "expr": each.expr})


def _alerting(alerts: Iterable[Alert], links: _Links) -> Iterator[dict[str, Any]]:
    for alert in alerts:
        rule: dict[str, Any] = {"alert": alert.name, "expr": alert.expr}
        if alert.wait:
            rule["for"] = duration(alert.wait)
        if alert.keep:
            rule["keep_firing_for"] = duration(alert.keep)
        rule["labels"] = {"severity": alert.severity, **({"reason": alert.reason} if alert.reason else {})}
        rule["annotations"] = {
            "summary": alert.summary,
            "description": alert.description,
            **links.of(alert),
        }
        yield rule


def _literal(url: str) -> str:
    return url.replace("{", "%7B").replace("}", "%7D")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(rules_text(), encoding="utf-8")
