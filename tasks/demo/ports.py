"""The ports the demo listens on: the usual ones where they are free, others where they are taken."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"


def _listen(stack: ExitStack, port: int) -> int | None:
    """Take `port` (0: any) until `stack` is closed; None when somebody else has it."""
    taken = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    # As the servers themselves do: a port whose last connections still linger is free.
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((LOOPBACK, port))
        taken.listen()
    except OSError:
        return None
    return int(taken.getsockname()[1])


def choose_ports(wanted: Mapping[str, int]) -> dict[str, int]:
    """Return a free port per service: the wanted one, or any where that is taken.

    All are held until the last is chosen, so that no two services get the same.
    """
    with ExitStack() as stack:
        free = {name: _listen(stack, port) for name, port in wanted.items()}
        return {name: port or _listen(stack, 0) or wanted[name] for name, port in free.items()}


def changes(wanted: Mapping[str, int], chosen: Mapping[str, int]) -> list[str]:
    """Return a sentence for each service that did not get the port it wanted."""
    return [
        f"Port {port} is taken, so {name} listens on {chosen[name]}."
        for name, port in wanted.items()
        if chosen[name] != port
    ]
