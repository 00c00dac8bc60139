"""The files that a scan reads: found within bounds, decoded and parsed, never imported or run. Reads the disk."""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from chordwatch.doctor.finding import Finding
from chordwatch.doctor.scan.names import Module
from chordwatch.text import plain

MOST_FILES = 10_000
MOST_BYTES = 2_000_000
#: Folders that hold other people's code or none at all. Hidden folders and virtual environments are skipped too.
SKIPPED = frozenset({"node_modules", "__pycache__"})

#: What a file must have to be of interest. Most files have nothing of it and are not even parsed.
OF_INTEREST = re.compile(rb"celery|kombu|\.[Tt]ask\b|MaxRetriesExceededError|add_to_chord")


def modules(path: Path) -> Iterator[Module | Finding]:
    """Yield each Python file at or under `path` that may concern Celery, and a finding for each that is unreadable."""
    if not path.exists():
        yield Finding(
            "not_scanned",
            "error",
            plain(str(path), 300),
            "There is no such file or folder.",
            "Check the path.",
        )
        return
    found = list(_files(path))
    if not found:
        yield _unread(path, "There is no Python file here", "Name the folder that holds the tasks.")
    elif len(found) > MOST_FILES:
        yield _unread(path, f"Only the first {MOST_FILES:,} files were read", "Scan a smaller folder.")
    for file in found[:MOST_FILES]:
        parsed = _parsed(file)
        if parsed is not None:
            yield parsed


def _files(path: Path) -> Iterator[Path]:
    """Yield files in the order of their names, one more than the limit at most, each real file once."""
    if not path.is_dir():
        yield path
        return
    seen: set[Path] = set()
    for folder, folders, names in os.walk(path):  # links to folders are not followed, so loops do no harm
        folders[:] = sorted(name for name in folders if not _skipped(Path(folder, name)))
        for name in sorted(names):
            file = Path(folder, name)
            if not name.endswith(".py") or not file.is_file():
                continue  # nor is a pipe a file, nor a link that leads nowhere or to itself
            real = file.resolve()
            if real not in seen:
                seen.add(real)
                yield file
            if len(seen) > MOST_FILES:
                return


def _skipped(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name in SKIPPED or (folder / "pyvenv.cfg").exists()


def _parsed(file: Path) -> Module | Finding | None:
    try:
        with file.open("rb") as opened:
            source = opened.read(MOST_BYTES + 1)
        if len(source) > MOST_BYTES:
            return _unread(file, f"The file is longer than {MOST_BYTES:,} bytes", "Scan it by its parts.")
        if not OF_INTEREST.search(source):
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in somebody's string is not ours to tell
            # Bytes, so that Python itself reads the declared encoding.
            tree = ast.parse(source)
        return Module(file, tree)
    except OSError as error:
        return _unread(file, f"The file cannot be read: {error.strerror or error}", "Check its permissions.")
    except SyntaxError as error:
        why = f"The file does not parse, line {error.lineno or 0}: {error.msg}"
        return _unread(file, why, "Scan with the Python that runs it; it must be 3.10 or newer.")
    except (ValueError, RecursionError, MemoryError) as error:
        return _unread(file, f"The file does not parse: {error or type(error).__name__}", "Look at the file.")


def _unread(path: Path, why: str, fix: str) -> Finding:
    return Finding("not_scanned", "note", plain(str(path), 300), f"{plain(why, 200)}.", fix)
