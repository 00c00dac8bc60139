from __future__ import annotations

import unicodedata

import pytest

from chordwatch.text import plain

HOSTILE = "".join(
    map(chr, (*range(0x2100), *range(0xD7F0, 0xE010), *range(0xFEF0, 0x10000), *range(0xE0000, 0xE0080)))
)


@pytest.mark.parametrize(
    "text", ["tasks.add", "größe", "日本語", "🎻 chord", "[bold]x[/bold]", "a|b", "<b>", ""]
)
def test_what_can_be_shown_is_shown_as_it_is(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x00\x07\x7f\x9b", "\\x00\\x07\\x7f\\x9b"),
        ("abc\u202egnp", "abc\\u202egnp"),
        ("\u2066x\u2069\u200b\ufeff", "\\u2066x\\u2069\\u200b\\ufeff"),
        ("\ud800\udfff", "\\ud800\\udfff"),
        ("one\u2028two\u2029", "one\\u2028two\\u2029"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_steers_a_terminal_is_shown_escaped(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_nothing_hostile_gets_through_and_all_of_it_can_be_encoded() -> None:
    shown = plain(HOSTILE, 10 * len(HOSTILE))

    assert {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} == set()
    assert shown.encode()


@pytest.mark.parametrize("text", ["x" * 10_240, "\n" * 10_240, "\ud800" * 81, "x" * 81])
def test_long_text_is_cut_to_its_limit(text: str) -> None:
    shown = plain(text)

    assert len(shown) == 80
    assert shown.endswith("…")


@pytest.mark.parametrize(("text", "limit"), [("x" * 80, 80), ("abc", 3), ("\\" * 80, 80)])
def test_text_that_just_fits_is_not_cut(text: str, limit: int) -> None:
    assert plain(text, limit) == text


def test_text_that_fits_only_before_it_is_escaped_is_cut() -> None:
    assert plain("\n" * 41) == "\\n" * 39 + "\\" + "…"
