"""What can go wrong for the caller. Each message is one sentence that says what is wrong and what to do.

ChordwatchError
├── SettingError          a setting has a value that cannot be used
├── UnreachableError      broker, result backend or store does not answer, or refuses
│   └── RefusedError      the store answers, but its user has no right to a command
└── UnsupportedError      broker or result backend cannot be loaded, or there is none
"""

from __future__ import annotations

from typing import Literal

ServerName = Literal["broker", "result backend", "store"]


class ChordwatchError(Exception):
    """Base of all errors that chordwatch raises on purpose."""


class SettingError(ChordwatchError):
    """A setting has a value that cannot be used."""


class UnreachableError(ChordwatchError):
    """The broker, the result backend or the store does not answer, or refuses a login or a command.

    `server` says which of them, None where nobody needs to know.
    """

    def __init__(self, sentence: str, *, server: ServerName | None = None) -> None:
        super().__init__(sentence)
        self.server = server


class RefusedError(UnreachableError):
    """The store answers, but its user has no right to a command that is needed."""


class UnsupportedError(ChordwatchError):
    """The broker or the result backend cannot be loaded, or no result backend is configured where one decides."""
