"""Asking server processes in the dashboard's tests: what they are, HTTP status, listening."""

from __future__ import annotations

import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Answers where a server listens on every interface, and not where it listens on 127.0.0.1 alone.
OTHER_ADDRESS = "127.0.0.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A started process, where it answers and what it wrote."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]


Start = Callable[..., Server]


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


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
