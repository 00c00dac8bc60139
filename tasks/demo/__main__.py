"""`python -m tasks.demo [--for SECONDS] [--summary FILE]`: start everything, show it, stop everything."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tasks.demo.errors import DemoError
from tasks.demo.run import Options, run


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError("a number of seconds, 0 or more")
    return seconds


def parse(arguments: list[str]) -> Options:
    """Return what the command line asks for; exits with 2 when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.demo",
        description="Start Redis, workers, monitor, Flower and dashboard, and play a tour of Celery chords.",
    )
    parser.add_argument(
        "--for",
        dest="seconds",
        type=_seconds,
        metavar="SECONDS",
        help="stop after so long, counted from when all answer, but not before the tour is over",
    )
    parser.add_argument(
        "--summary", type=Path, metavar="FILE", help="write addresses, chords and scenarios as JSON"
    )
    parser.add_argument(
        "--data", type=Path, default=Path("var/demo"), metavar="DIR", help="logs and data (var/demo)"
    )
    found = parser.parse_args(arguments)
    return Options(seconds=found.seconds, summary=found.summary, data=found.data)


def main() -> int:
    """Run the demo; return its exit code."""
    try:
        return run(parse(sys.argv[1:]))
    except DemoError as error:
        print(f"The demo stopped: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
