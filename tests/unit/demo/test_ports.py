from __future__ import annotations

import socket

from tasks.demo.ports import LOOPBACK, changes, choose_ports


def listen() -> socket.socket:
    server = socket.socket()
    server.bind((LOOPBACK, 0))
    server.listen()
    return server


def free_port() -> int:
    with listen() as server:
        return int(server.getsockname()[1])


def test_a_free_port_is_taken_as_wanted() -> None:
    wanted = {"redis": free_port()}

    chosen = choose_ports(wanted)

    assert chosen == wanted
    assert changes(wanted, chosen) == []


def test_a_taken_port_is_replaced_by_a_free_one_and_said() -> None:
    with listen() as server:
        taken = server.getsockname()[1]

        chosen = choose_ports({"flower": taken})

    assert chosen["flower"] not in {taken, 0}
    assert changes({"flower": taken}, chosen) == [
        f"Port {taken} is taken, so flower listens on {chosen['flower']}."
    ]


def test_services_never_share_a_port() -> None:
    with listen() as server:
        taken = server.getsockname()[1]

        chosen = choose_ports({"a": taken, "b": taken, "c": taken})

    assert len(set(chosen.values())) == 3


def test_the_chosen_port_can_be_listened_on() -> None:
    with listen() as server:
        port = choose_ports({"monitor": server.getsockname()[1]})["monitor"]
        with socket.socket() as other:
            other.bind((LOOPBACK, port))
