"""A real RabbitMQ as a subprocess on 127.0.0.1, with its own data folder, cookie and epmd; it leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from tests.support.polling import wait_until
from tests.support.servers import Processes, clean_environment, free_port

#: Debian's commands on PATH change the user; the server's own script does not.
_SCRIPTS = Path("/usr/lib/rabbitmq/lib")


def rabbitmq_binary() -> str:
    """Return the server's own start script; without one skip, but fail in CI."""
    scripts = sorted(_SCRIPTS.glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    found = str(scripts[-1]) if scripts else shutil.which("rabbitmq-server")
    if found is None or shutil.which("epmd") is None:
        missing = "no rabbitmq-server: install Debian's package rabbitmq-server"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return found


class RabbitServer:
    """A RabbitMQ on a free port, ready when it is made."""

    def __init__(self, processes: Processes) -> None:
        binary = rabbitmq_binary()
        self.port, names = free_port(), str(free_port())
        folder = processes.folder / f"rabbitmq-{self.port}"
        folder.mkdir()
        epmd = {"ERL_EPMD_PORT": names, "ERL_EPMD_ADDRESS": "127.0.0.1"}
        # In the foreground, so that it ends with the test; Erlang would leave one of its own behind.
        processes.start(f"epmd-{names}", "epmd", "-port", names, "-address", "127.0.0.1")
        wait_until(lambda: _listens(int(names)), f"epmd listens on port {names}")
        (folder / "plugins").write_text("[].\n")
        self.process = processes.start(
            f"rabbitmq-{self.port}",
            binary,
            env=clean_environment(
                **epmd,
                HOME=str(folder),
                RABBITMQ_NODENAME=f"test{self.port}@localhost",
                RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
                RABBITMQ_NODE_PORT=str(self.port),
                RABBITMQ_DIST_PORT=str(free_port()),
                RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}",
                RABBITMQ_MNESIA_BASE=str(folder),
                RABBITMQ_LOG_BASE=str(folder),
                RABBITMQ_LOGS="-",
                RABBITMQ_CONFIG_FILE=str(folder / "none"),
                RABBITMQ_ENABLED_PLUGINS_FILE=str(folder / "plugins"),
            ),
        )
        wait_until(
            lambda: "Server startup complete" in processes.log(f"rabbitmq-{self.port}"),
            f"RabbitMQ is ready on port {self.port}",
            60,
        )

    @property
    def url(self) -> str:
        """The URL of its default virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
