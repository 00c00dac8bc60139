"""How an instrumented process names its connection to the store, so that readers can see whether it is there. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

#: Of a node's name so many characters are kept.
NODE_LENGTH = 200
#: `CLIENT SETNAME` takes what ASCII prints, without space; the percent sign is ours.
_SAFE = "".join(chr(code) for code in range(ord("!"), ord("~") + 1) if chr(code) != "%")
#: A field of a line of `CLIENT LIST`; fields are separated by spaces, and no value holds one.
_NAMED = re.compile(rb" name=chordwatch:(\S*):([^\s:]+) ").finditer


def connection_name(node: str, boot: str) -> str:
    """Return the name of a process's connection: `chordwatch:<node>:<boot>`, what Redis refuses percent-encoded."""
    return f"chordwatch:{quote(node[:NODE_LENGTH], _SAFE, errors='surrogatepass')}:{boot}"


def connected(client_list: bytes) -> frozenset[tuple[str, str]]:
    """Return node and boot of each process whose connection the answer to `CLIENT LIST` names."""
    return frozenset(
        (unquote(node.decode("ascii", "replace"), errors="surrogatepass"), boot.decode("ascii", "replace"))
        for node, boot in (match.groups() for match in _NAMED(client_list))
    )
