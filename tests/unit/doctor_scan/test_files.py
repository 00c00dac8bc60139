from __future__ import annotations

import os
from pathlib import Path

import pytest

from chordwatch.doctor.scan import files, scan

BAD = "from celery import chord\nchord([None], 1)\n"


def places(path: Path) -> list[str]:
    return [finding.where for finding in scan(path)]


def test_a_file_or_a_folder_is_scanned_in_the_order_of_names_and_lines(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.py", "a.py", "sub/c.py"):
        (tmp_path / name).write_text(BAD + "chord([None, None], 1)\n")

    assert places(tmp_path / "a.py") == [f"{tmp_path}/a.py:2", f"{tmp_path}/a.py:3"]
    assert places(tmp_path) == [
        f"{tmp_path}/{name}:{line}" for name in ("a.py", "b.py", "sub/c.py") for line in (2, 3)
    ]


def test_other_peoples_and_hidden_folders_are_skipped(tmp_path: Path) -> None:
    for folder in (".venv", ".hidden", "node_modules", "__pycache__", "env/lib"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.py").write_text(BAD)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "x.py").write_text(BAD)
    (tmp_path / "x.txt").write_text(BAD)

    assert places(tmp_path) == [f"{tmp_path}/x.py:2"]


def test_links_make_neither_loops_nor_copies(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(BAD)
    (tmp_path / "again.py").symlink_to("a.py")
    (tmp_path / "broken.py").symlink_to("nowhere.py")
    (tmp_path / "itself.py").symlink_to("itself.py")
    (tmp_path / "up").symlink_to(tmp_path, target_is_directory=True)

    assert places(tmp_path) == [f"{tmp_path}/a.py:2"]


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "a.py").write_text(BAD)

    assert places(tmp_path) == [f"{tmp_path}/a.py:2"]


@pytest.mark.parametrize(
    "source",
    [
        "# größe\n".encode() + BAD.encode(),
        b"\xef\xbb\xbf# BOM\n" + BAD.encode(),
        b"# -*- coding: latin-1 -*- gr\xf6\xdfe\n" + BAD.encode(),
        b"# line ends\r\n" + BAD.replace("\n", "\r\n").encode(),
    ],
    ids=["utf-8", "byte order mark", "latin-1", "carriage returns"],
)
def test_a_file_is_read_in_the_encoding_it_declares(source: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(source)

    assert places(tmp_path) == [f"{tmp_path}/a.py:3"]


@pytest.mark.parametrize(
    "source",
    [
        b"from celery import\n",
        b"print 'celery'\n",
        b"celery = '\xf6'\n",
        b"# coding: no-such-encoding\ncelery = 1\n",
        b"celery = 1\x00\n",
        b"celery = " + b"(" * 3000 + b")" * 3000,
        b"celery = " + b"-" * 300_000 + b"1",
        b"def celery():\n\tx\n        y\n",
    ],
    ids=["cut off", "Python 2", "not utf-8", "unknown encoding", "null byte", "deep", "very deep", "tabs"],
)
def test_a_file_that_does_not_parse_is_a_note_and_the_others_are_scanned(
    source: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_bytes(source)
    (tmp_path / "b.py").write_text(BAD)

    note, found = scan(tmp_path)

    assert (note.rule, note.severity, note.where) == ("not_scanned", "note", f"{tmp_path}/a.py")
    assert "does not parse" in note.reason
    assert found.where == f"{tmp_path}/b.py:2"


def test_a_file_that_has_nothing_to_do_with_celery_needs_not_parse(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("print 'hello'")

    assert scan(tmp_path) == []


def test_a_file_that_may_not_be_read_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text(BAD)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    (note,) = scan(tmp_path)

    assert (note.severity, note.reason) == ("note", "The file cannot be read: Permission denied.")


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    (error,) = scan(tmp_path / "nowhere")

    assert (error.rule, error.severity) == ("not_scanned", "error")


def test_a_folder_without_python_files_says_so(tmp_path: Path) -> None:
    (note,) = scan(tmp_path)

    assert (note.severity, note.reason) == ("note", "There is no Python file here.")


def test_a_very_long_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(BAD + "#" * files.MOST_BYTES)

    (note,) = scan(tmp_path)

    assert note.reason == "The file is longer than 2,000,000 bytes."


def test_a_folder_with_too_many_files_is_scanned_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (tmp_path / f"{number}.py").write_text(BAD)
    monkeypatch.setattr(files, "MOST_FILES", 3)

    note, *found = scan(tmp_path)

    assert note.reason == "Only the first 3 files were read."
    assert [finding.where for finding in found] == [f"{tmp_path}/{number}.py:2" for number in range(3)]


def test_no_more_findings_are_shown_than_somebody_reads(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from celery import chord\n" + "chord([None], 1)\n" * 1200)

    *found, note = scan(tmp_path)

    assert len(found) == 1000
    assert note.reason == "Only 1,000 findings are shown."


def test_a_warning_about_the_code_is_not_passed_on(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("celery = '\\d'\n")

    assert scan(tmp_path) == []


def test_no_code_is_run(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from celery import chord\nraise SystemExit('celery')\n")

    assert scan(tmp_path) == []


def test_hostile_names_are_shown_plain(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\n.py"
    path.write_text(BAD)

    assert places(tmp_path) == [f"{tmp_path}/a\\x1b[31m\\n.py:2"]
