"""docs/doctor.md and the rules name each other."""

from __future__ import annotations

import re

from chordwatch.doctor.examine import RULES
from chordwatch.doctor.rules_settings import unknown_setting
from tests.support.servers import ROOT

PAGE = (ROOT / "docs" / "doctor.md").read_text().partition("\n## Scan")[0]


def test_every_rule_is_in_the_docs_and_the_other_way_round() -> None:
    rules = {rule.__name__ for rule in (*RULES, unknown_setting)}

    assert set(re.findall(r"^\*\*(\w+)\.?\*\*", PAGE, re.MULTILINE)) == rules


def test_every_rule_says_what_it_is_about() -> None:
    assert [rule.__name__ for rule in RULES if not rule.__doc__] == []
