"""Connections to Redis of a producer, a worker's main process and its pool child, with chordwatch and without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from redis import Redis

from benchmarks.cpu import tree
from benchmarks.figures import EXACT, Figure, Spread
from benchmarks.scene import scene
from benchmarks.variants import BARE, CHORDWATCH

SIZE = 200
#: Index of the local address and of the inode in a line of /proc/net/tcp.
_LOCAL, _INODE = 1, 9
#: At most one store connection in a process, a second one in a worker's main process for its heartbeat.
TARGETS = {"producer": 1, "worker main": 2, "pool child": 1}


def measure_connections() -> list[Figure]:
    """Return how many connections each process has, and how many of them are chordwatch's."""
    bare, _ = _count(BARE)
    total, named = _count(CHORDWATCH)
    return [
        figure
        for process in TARGETS
        for figure in (
            _figure(f"{process}, of the store", CHORDWATCH, named[process], TARGETS[process]),
            _figure(f"{process}, all", BARE, bare[process], None),
            _figure(f"{process}, all", CHORDWATCH, total[process], None),
        )
    ]


def _figure(what: str, variant: str, count: int, target: int | None) -> Figure:
    return Figure(
        group="connections",
        what=what,
        variant=variant,
        unit="of one process",
        spread=Spread.of([count]),
        target=target,
        noise=EXACT,
    )


def _count(variant: str) -> tuple[Counter[str], Counter[str]]:
    """Return the connections of each process, all and those that are named after chordwatch."""
    with scene() as opened:
        worker, producer = opened.worker(variant, "bench").pid, opened.producer(variant)
        _, chords = producer.publish(1, SIZE, header_queue="bench", queue="bench")
        opened.await_results([callback for _, callback in chords])
        children = dict.fromkeys(tree(worker)[1:], "pool child")
        # A socket that a child has inherited is its parent's, so the parent stands last.
        roles = {producer.process.pid: "producer", **children, worker: "worker main"}
        return _by_role(opened.broker, roles)


def _by_role(server: Redis, roles: Mapping[int, str]) -> tuple[Counter[str], Counter[str]]:
    total, named = Counter[str](), Counter[str]()
    owners = {port: role for pid, role in roles.items() for port in _ports(pid)}
    for client in server.client_list():
        role = owners.get(int(client["addr"].rpartition(":")[2]))
        if role is not None:
            total[role] += 1
            named[role] += client["name"].startswith("chordwatch")
    return total, named


def _ports(pid: int) -> list[int]:
    """Return the local ports of a process's TCP sockets."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = descriptor.readlink().name if descriptor.is_symlink() else ""
        if target.startswith("socket:["):
            inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(line[_LOCAL].rpartition(":")[2], 16) for line in lines if line[_INODE] in inodes]
