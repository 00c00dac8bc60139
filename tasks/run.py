"""Plays scenarios of the catalogue: `python -m tasks.run NAME [-n N]`, `python -m tasks.run --list`.

Exit codes: 0 started, 1 a fault could not be brought about, 2 usage, 3 Redis cannot be reached.
"""

from __future__ import annotations

import argparse
import signal
import sys
from typing import NoReturn
from urllib.parse import urlsplit

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from tasks import config, records
from tasks.faults import FaultError
from tasks.scenarios import SCENARIOS, Scenario


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tasks.run", description="Play a scenario of the demo.")
    parser.add_argument("scenario", nargs="?", help="its name; see --list")
    parser.add_argument("-n", type=_count, default=1, metavar="N", help="start it so many times (1)")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    arguments = parser.parse_args(argv)
    if arguments.list:
        _print_catalogue()
        return 0
    scenario = SCENARIOS.get(arguments.scenario or "")
    if scenario is None:
        parser.error(f"there is no scenario {arguments.scenario!r}; there are {', '.join(SCENARIOS)}.")
    return _play(scenario, arguments.n)


def _play(scenario: Scenario, times: int) -> int:
    # Faults end the processes they start on their way out; without this, SIGTERM would skip that.
    signal.signal(signal.SIGTERM, _leave)
    try:
        records.client().ping()
        for _ in range(times):
            _start(scenario)
    except (RedisError, OperationalError):
        print(f"Redis cannot be reached at {_redis_address()}; is it running?", file=sys.stderr)
        return 3
    except FaultError as error:
        print(f"{scenario.name}: {error}.", file=sys.stderr)
        return 1
    return 0


def _start(scenario: Scenario) -> None:
    """Start it once and print its ids and how to look at it."""
    started = scenario.start()
    if scenario.expected == "none" or started.chord_id is None:
        print(f"{scenario.name}  no chord  result {started.result_id}", end="  ")
        print(f"celery -A tasks result {started.result_id}", flush=True)
    else:
        print(f"{scenario.name}  chord {started.chord_id}  callback {started.callback_id}", end="  ")
        print(f"celery -A tasks chords show {started.chord_id}", flush=True)


def _print_catalogue() -> None:
    width = max(map(len, SCENARIOS))
    for scenario in SCENARIOS.values():
        print(f"{scenario.name:{width}}  {scenario.expected:7}  {scenario.description}")


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return count


def _redis_address() -> str:
    """Return where Redis was looked for, without a password."""
    parts = urlsplit(config.REDIS_URL)
    return f"{parts.hostname}:{parts.port or 6379}"


def _leave(*_: object) -> NoReturn:
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())
