"""Starts the demo's processes, logs each to its own file, and ends them all.

honcho's `Process` does the running: a session of its own for each, output relayed line by line, start and
end reported. Its `Manager` is not used: it starts everything at once, ends everything in no order when one
process ends, and keeps the main thread; here Redis is up first and goes last, and a lost service is named.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from honcho.printer import Message
from honcho.process import Process

from tasks.demo import guard

#: Workers finish what they run when they are told to stop; what takes longer is killed.
GRACE_SECONDS = 5.0
KILL_SECONDS = 5.0


class Child:
    """A process that the supervisor started. honcho reports to it as to a queue, from a thread of its own."""

    def __init__(self, name: str, command: str, *, env: Mapping[str, str], cwd: Path, log: Path) -> None:
        self.name = name
        self.log = log
        self.pid: int | None = None
        self.returncode: int | None = None
        self._started = threading.Event()
        self._ended = threading.Event()
        self._file = log.open("wb", buffering=0)
        self._process = Process(command, name=name, env=dict(env), cwd=str(cwd))
        self._thread = threading.Thread(target=self._run, name=f"demo-{name}", daemon=True)

    def start(self) -> None:
        """Start the process; return when it has a pid, or could not be started."""
        self._thread.start()
        self._started.wait()

    def _run(self) -> None:
        try:
            self._process.run(self)
        except OSError as error:
            self._file.write(f"could not be started: {error}\n".encode())
            self.returncode = -1
        finally:
            self._started.set()
            self._ended.set()
            self._file.close()

    def put(self, message: Message) -> None:
        """Take what honcho reports: a line of output, the start, the end."""
        if message.type == "line":
            self._file.write(message.data)
        elif message.type == "start":
            self.pid = message.data["pid"]
            self._started.set()
        elif message.type == "stop":
            self.returncode = message.data["returncode"]

    @property
    def ended(self) -> bool:
        """Whether the process, and everything that writes to its log, is gone."""
        return self._ended.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long for the end; tell whether it came."""
        return self._ended.wait(max(0.0, seconds))

    def terminate(self) -> None:
        """Ask the process to stop; its own children are its own business."""
        if self.pid is not None and not self.ended:
            _send(os.kill, self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process with its whole group."""
        # Its leader is not reaped before the log is at its end, so the number cannot be somebody else's.
        if self.pid is not None and not self.ended:
            _send(os.killpg, self.pid, signal.SIGKILL)


class Supervisor:
    """All the demo's processes: started here, watched here, and gone after `close`."""

    def __init__(self, *, cwd: Path, logs: Path, register: Path) -> None:
        self.children: dict[str, Child] = {}
        self.cwd = cwd
        self._logs = logs
        self._register = register
        register.write_text("", encoding="utf-8")
        # So that nothing stays when the demo is killed by SIGKILL: the guard sees its pipe close.
        self._guard = subprocess.Popen(  # noqa: S603  # our own interpreter and file
            [sys.executable, guard.__file__, str(register)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> Child:
        """Start a process; its output goes to `name`.log."""
        command = f"{self.registered(argv)} </dev/null"
        child = Child(name, command, env=env, cwd=self.cwd, log=self._logs / f"{name}.log")
        self.children[name] = child
        child.start()
        return child

    def registered(self, argv: Sequence[str]) -> str:
        """Return a shell command that becomes `argv`, under the same pid, once the guard can know of it."""
        return f"echo +$$ >>{shlex.quote(str(self._register))} && exec {shlex.join(argv)}"

    def unregister(self, pid: int | None) -> None:
        """Let the guard know that this process has ended: its number may be another's soon."""
        if pid is not None:
            with self._register.open("a", encoding="utf-8") as register:
                register.write(f"-{pid}\n")

    def lost(self) -> list[Child]:
        """Return the processes that ended although nobody told them to."""
        return [child for child in self.children.values() if child.ended]

    def stop(self, *names: str) -> None:
        """End these processes: SIGTERM to each, and SIGKILL to the groups of those that take too long."""
        children = [self.children.pop(name) for name in names]
        for child in children:
            child.terminate()
        _wait(children, GRACE_SECONDS)
        for child in children:
            child.kill()
        _wait(children, KILL_SECONDS)
        for child in children:
            self.unregister(child.pid)

    def close(self) -> None:
        """Stop what still runs, what was started first (Redis) last."""
        first, *others = self.children or [None]
        self.stop(*others)
        if first is not None:
            self.stop(first)
        self._guard.communicate()


def _wait(children: Iterable[Child], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for child in children:
        child.wait(deadline - time.monotonic())


def _send(send: Callable[[int, int], None], pid: int, number: signal.Signals) -> None:
    try:
        send(pid, number)
    except ProcessLookupError:
        return
