"""The alerts' cases are worth something: a real fault recorded now gives the same, and a wrong rule is noticed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.alerts.case import Case
from tests.alerts.cases import CASES, chords, installation
from tests.alerts.record import record
from tests.alerts.recording import load
from tests.alerts.scenes import SCENES
from tests.alerts.timeline import timeline_of
from tests.alerts.write import RULES, alert_names, text
from tests.support.prometheus import promtool_binary

pytestmark = pytest.mark.faults

Rule = dict[str, Any]


def promtool_on(
    cases: Sequence[Case], folder: Path, spoil: Callable[[Rule], None] | None
) -> subprocess.CompletedProcess[str]:
    """Run promtool on these cases, with rules that `spoil` has changed, in a folder laid out as alerts/ is."""
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for rule in (rule for group in document["groups"] for rule in group["rules"]):
        if spoil:
            spoil(rule)
    (folder / RULES.name).write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    (folder / "tests").mkdir()
    test = folder / "tests" / "fresh.test.yml"
    test.write_text(text(cases), encoding="utf-8")
    command = [promtool_binary(), "test", "rules", str(test)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_fault_that_is_recorded_now_fires_as_the_recorded_one(tmp_path: Path) -> None:
    """A worker is killed while it runs parts of three chords.

    Recorded anew, up to three times: the cases stretch single scrapes, which a busy machine holds up or loses.
    """
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        recording = record(SCENES["worker_killed"], folder)
        recording.save(folder)
        short = timeline_of(load("worker_killed", folder))
        cases = (
            *chords.cases(chords.HUNG, short, "killed", "sent again", 60),
            *installation.cases(lambda _: installation.DOWN, short, "killed", "sent again", 60),
        )
        done = promtool_on(cases, folder, None)
        if done.returncode == 0:
            break
        print(recording)

    assert done.returncode == 0, done.stdout + done.stderr


# Rules that are wrong in one way each.


def never(rule: Rule) -> None:
    """Ask for what cannot be."""
    if "alert" in rule:
        rule["expr"] = "vector(0) > 1"


def at_once(rule: Rule) -> None:
    """Wait for nothing."""
    rule.pop("for", None)


def no_grace(rule: Rule) -> None:
    """End with the last sign."""
    rule.pop("keep_firing_for", None)


def nothing_held(rule: Rule) -> None:
    """Forget what was seen when nobody sees anything."""
    if str(rule.get("record")).endswith(":held"):
        rule["expr"] = rule["expr"].partition("\nor\n")[0]


def monitors_added(rule: Rule) -> None:
    """Take two monitors for two installations."""
    rule["expr"] = rule["expr"].replace("max by (", "sum by (")


def jobs_added(rule: Rule) -> None:
    """Take two installations for one."""
    rule["expr"] = re.sub(r"\bby \(job, ", "by (", rule["expr"]).replace("by (job)", "by ()")


WAITS = ("Hung", "Looping", "Late")
SEEN = ("CeleryQueueWithoutConsumer", "CeleryQueueBacklog", "CeleryWorkerDown")
OPEN = tuple(f"CeleryChord{what}" for what in WAITS)
#: What is wrong, and the alerts whose cases must notice.
WRONG: tuple[tuple[Callable[[Rule], None], tuple[str, ...]], ...] = (
    (never, tuple(alert_names())),
    (at_once, (*OPEN, *SEEN, "ChordwatchBlind")),
    (no_grace, (*OPEN, "ChordwatchBlind")),
    (nothing_held, (*OPEN, *SEEN)),
    (monitors_added, (*OPEN, "CeleryQueueWithoutConsumer", "CeleryWorkerDown", "CeleryChordWrongResult")),
    (jobs_added, (*OPEN, *SEEN, "CeleryChordFailureRate", "CeleryChordRetryStorm")),
)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [(spoil, name) for spoil, names in WRONG for name in names],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_promtool_notices_a_rule_that_is_wrong(
    spoil: Callable[[Rule], None], name: str, tmp_path: Path
) -> None:
    done = promtool_on([case for case in CASES if case.alert == name], tmp_path, spoil)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED" in done.stdout + done.stderr
