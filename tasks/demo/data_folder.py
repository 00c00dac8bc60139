"""The folder a running demo writes to: logs, generated images, Beat's schedule, Prometheus' data."""

from __future__ import annotations

import fcntl
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import IO

from tasks.demo.errors import DemoError


class DataFolder:
    """A folder that is this demo's alone until `close`: two at once must not share a log or a database."""

    def __init__(self, wanted: Path) -> None:
        self.wanted = wanted.absolute()
        self.path, self._lock = _claim(self.wanted)
        for old in self.path.iterdir():
            if old.name != "lock":
                _remove(old)
        self.logs.mkdir()
        (self.path / "files").mkdir()

    @property
    def logs(self) -> Path:
        """Where each service has its log."""
        return self.path / "logs"

    @property
    def register(self) -> Path:
        """Where the running processes are listed."""
        return self.path / "processes"

    def close(self) -> None:
        """Let another demo have the folder; what is in it stays for reading."""
        self._lock.close()


def _claim(wanted: Path) -> tuple[Path, IO[bytes]]:
    for number in count(1):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = (path / "lock").open("wb")
        except OSError as error:
            raise DemoError(f"The demo cannot write to {path}: {error.strerror}.") from error
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return path, lock
        lock.close()
    raise AssertionError


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
