"""What a process leaves in the store for others."""

from __future__ import annotations

from chordwatch.store.protocol import Store
from tests.contract.conftest import OpenStore
from tests.support.polling import wait_until


def test_what_was_posted_is_read_by_its_name(store: Store) -> None:
    assert store.posted(["board"]) == {}
    assert store.post("board", b"\0old", keep=60)
    assert store.post("board", b"\xffnew", keep=60)
    assert store.post("a name: \u2603 \n", b"", keep=60)
    assert store.posted(["board", "none", "board", "a name: \u2603 \n"]) == {
        "board": b"\xffnew",
        "a name: \u2603 \n": b"",
    }
    assert store.posted([]) == {}


def test_of_several_who_post_what_is_new_the_first_wins(store: Store) -> None:
    assert store.post("claim", b"one", keep=60, only_new=True)
    assert not store.post("claim", b"other", keep=60, only_new=True)
    assert store.posted(["claim"]) == {"claim": b"one"}


def test_what_was_posted_ends(store: Store) -> None:
    store.post("claim", b"one", keep=0.05)
    wait_until(lambda: not store.posted(["claim"]), "the post ends")
    assert store.post("claim", b"other", keep=60, only_new=True)


def test_posts_of_namespaces_do_not_mix(open_store: OpenStore) -> None:
    one, other = open_store(namespace="one"), open_store(namespace="other")
    one.post("board", b"one", keep=60)
    assert other.posted(["board"]) == {}
