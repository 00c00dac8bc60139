from __future__ import annotations

import pytest

from chordwatch.store.connections import connected, connection_name

LINE = "id=3 addr=127.0.0.1:5{n} fd=8 name={name} age=0 idle=0 flags=N db=0 sub=0 cmd=eval user=default redir=-1\n"


def listed(*names: str) -> bytes:
    """Return what Redis answers to CLIENT LIST."""
    return "".join(LINE.format(n=n, name=name) for n, name in enumerate(names)).encode()


@pytest.mark.parametrize(
    "node",
    [
        "w1@here",
        "a:b:c@host",
        "my worker@host",
        "wörker",
        "100%25",
        "line\nbreak name=x",
        "lone \ud800\0",
        "[",
    ],
)
def test_any_node_can_be_named_and_read_again(node: str) -> None:
    name = connection_name(node, "b1")

    assert all("!" <= char <= "~" for char in name)
    assert connected(listed(name, "")) == {(node, "b1")}


def test_an_ordinary_name_is_written_as_it_is() -> None:
    assert connection_name("w1@host-1.example_x", "0f") == "chordwatch:w1@host-1.example_x:0f"


def test_a_long_node_is_cut_as_in_its_heartbeat() -> None:
    assert connected(listed(connection_name("n" * 999, "b1"))) == {("n" * 200, "b1")}


def test_other_connections_are_left_out() -> None:
    others = ("", "chordwatch:reader", "celery", "chordwatch:", "xchordwatch:a:b")

    assert connected(listed(*others)) == frozenset()


def test_a_process_with_two_connections_is_there_once() -> None:
    assert connected(listed("chordwatch:w1:b1", "chordwatch:w1:b1", "chordwatch:w1:b2")) == {
        ("w1", "b1"),
        ("w1", "b2"),
    }
