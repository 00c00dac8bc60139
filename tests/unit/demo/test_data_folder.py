from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tasks.demo.data_folder import DataFolder
from tasks.demo.errors import DemoError


def test_what_an_earlier_demo_left_is_gone(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path / "demo")) as first:
        (first.logs / "old.log").write_text("old", encoding="utf-8")

    with closing(DataFolder(tmp_path / "demo")) as second:
        assert second.path == first.path
        assert list(second.logs.iterdir()) == []


def test_two_demos_at_once_have_a_folder_each(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path / "demo")) as first, closing(DataFolder(tmp_path / "demo")) as second:
        assert first.path == tmp_path / "demo"
        assert second.path == tmp_path / "demo-2"


def test_a_folder_that_cannot_be_written_to_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(DemoError, match=r"The demo cannot write to .*/file/demo: Not a directory\."):
        DataFolder(tmp_path / "file" / "demo")
