"""What can go wrong for the caller. Each message is one sentence that says what is wrong and what to do.

ChordwatchError
├── SettingError          a setting has a value that cannot be used
├── UnreachableError      broker or result backend does not answer, or refuses
└── UnsupportedError      this kind of result backend cannot be read
"""

from __future__ import annotations


class ChordwatchError(Exception):
    """Base of all errors that chordwatch raises on purpose."""


class SettingError(ChordwatchError):
    """A setting has a value that cannot be used."""


class UnreachableError(ChordwatchError):
    """The broker or the result backend does not answer, or refuses a login or a command."""


class UnsupportedError(ChordwatchError):
    """This kind of result backend cannot be read."""
