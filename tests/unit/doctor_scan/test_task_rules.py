from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.doctor_scan.task_lines import SILENT, SPEAKS
from tests.unit.doctor_scan.written import marked, project, said


@pytest.mark.parametrize("name", SPEAKS)
def test_a_rule_speaks_at_these_lines_and_no_other(name: str, tmp_path: Path) -> None:
    findings = project(tmp_path, SPEAKS[name])

    assert marked(tmp_path)
    assert said(findings) == marked(tmp_path)


@pytest.mark.parametrize("name", SILENT)
def test_no_rule_speaks_where_nothing_is_wrong(name: str, tmp_path: Path) -> None:
    assert said(project(tmp_path, SILENT[name])) == set()
