"""Which line of a traceback names the error: of the database, a result has nothing else that is not pickled."""

from __future__ import annotations

import pytest

from chordwatch.evidence.polling import error_line

FRAMES = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    f()\n    ^^^\n'


@pytest.mark.parametrize(
    ("traceback", "line"),
    [
        (f"{FRAMES}ValueError: no\n", "ValueError: no"),
        (f"{FRAMES}ValueError: no\ncard 4111\nb: c\n", "ValueError: no"),
        (f"{FRAMES}shop.Refused\n", "shop.Refused"),
        (
            f"{FRAMES}KeyError: 1\n\nDuring handling of it another one:\n\n{FRAMES}ValueError: no",
            "ValueError: no",
        ),
        ("WorkerLostError: gone", "WorkerLostError: gone"),
        (f"{FRAMES}", "    ^^^"),
        (f"{FRAMES}ValueError: {'x' * 300}", f"ValueError: {'x' * 188}"),
        ("", None),
        (None, None),
    ],
)
def test_the_error_is_the_line_after_the_frames(traceback: str | None, line: str | None) -> None:
    assert error_line(traceback) == line
