"""Checks one value of a setting, wherever it comes from."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from chordwatch.errors import SettingError
from chordwatch.settings.table import Kind, Setting, Value
from chordwatch.text import plain

_YES = frozenset({"true", "1", "yes", "on"})
_NO = frozenset({"false", "0", "no", "off"})
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch

#: How kombu, Celery and redis-py write the URL of a Redis.
REDIS_SCHEMES = ("redis", "rediss", "sentinel", "redis+socket", "unix")
URL_HELP = "a URL of Redis (redis://, rediss://, sentinel://, redis+socket:// or unix://)"
#: kombu writes several servers in one text; a password may hold a semicolon too.
NEXT_URL = re.compile(r";(?=[a-z+]+://)")
_WEB_ADDRESS = re.compile(r"https?://[!-~]+", re.IGNORECASE).fullmatch
#: A server with a number as its port, and what follows.
_PORT = re.compile(r"(?:\[[^\]]*\]|[^:/?#]+):([0-9]+)(?:[/?#].*)?", re.DOTALL).fullmatch
_LAST_PORT = 65535
#: Stands for the trace's id, 32 hexadecimal digits, in `trace_url`.
TRACE_ID = "{trace_id}"
#: Each is a series of every histogram of every callback.
_MOST_BOUNDS = 40


def checked(setting: Setting, value: object, where: str) -> Value:
    """Return the value as the setting's kind has it; `where` is the name under which it was found.

    Raises:
        SettingError: it cannot be used.
    """
    return _CHECKS[setting.kind](where, setting, value)


def _name(where: str, _setting: Setting, value: object) -> str:
    if not _NAME(str(value)):
        wanted = "1 to 64 letters, digits, dots, hyphens or underscores"
        raise SettingError(f"{where} is {plain(repr(value))}, but must be {wanted}.")
    return str(value)


def _web_address(where: str, _setting: Setting, value: object) -> str:
    """Return the address without a slash at its end, so that a path can follow."""
    text = str(value)
    try:
        usable = not text or bool(_WEB_ADDRESS(text) and urlsplit(text).hostname and urlsplit(text).port != 0)
    except ValueError:
        usable = False
    if not usable:
        raise SettingError(f"{where} must be an http:// or https:// address with a host.")
    return text.rstrip("/")


def _trace_address(where: str, setting: Setting, value: object) -> str:
    text = str(value)
    if text and TRACE_ID not in text:
        raise SettingError(f"{where} must have {TRACE_ID} where the trace's id belongs.")
    return text if _web_address(where, setting, text) else ""


def _bounds(where: str, _setting: Setting, value: object) -> tuple[float, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    wanted = f"1 to {_MOST_BOUNDS} numbers of seconds above 0, each greater than the one before"
    try:
        bounds = tuple(float(str(part)) for part in parts)  # type: ignore[attr-defined]  # what has no parts is refused
    except (TypeError, ValueError):
        bounds = ()
    grows = all(a < b for a, b in itertools.pairwise((0.0, *bounds)))
    if not grows or not 1 <= len(bounds) <= _MOST_BOUNDS or not math.isfinite(bounds[-1]):
        raise SettingError(f"{where} is {plain(repr(value))}, but must be {wanted}, as in 0.1, 1, 10.")
    return bounds


def _url(where: str, _setting: Setting, value: object) -> str:
    # What is not a URL may still be a password, so nothing of it is shown.
    text = str(value)
    scheme, mark, _ = text.partition("://")
    if text and not (mark and scheme in REDIS_SCHEMES):
        raise SettingError(f"{where} must be {URL_HELP}.")
    for url in NEXT_URL.split(text):
        _refuse_port(where, url)
    return text


def _refuse_port(where: str, url: str) -> None:
    """Raise where a URL has no port that can be used; what stands there may be a part of a password."""
    try:
        urlsplit(url).port  # noqa: B018  # reading it checks it
    except ValueError:
        port = _PORT(url.partition("://")[2].rpartition("@")[2])
        if port and int(port[1]) > _LAST_PORT:
            raise SettingError(
                f"{where} has a port that is out of range; it must be at most {_LAST_PORT}."
            ) from None
        raise SettingError(
            f"{where} has no port where one should be; a password must have / @ : and # percent-encoded."
        ) from None


def _password(where: str, _setting: Setting, value: object) -> str:
    # True or a number is a slip of the hand, and would be a password that anybody guesses.
    if not isinstance(value, str):
        raise SettingError(f"{where} must be a text.")
    return value


def _choice(where: str, setting: Setting, value: object) -> str:
    text = str(value).strip().lower()
    if text not in setting.choices:
        raise SettingError(f"{where} is {plain(repr(value))}, but must be {' or '.join(setting.choices)}.")
    return text


def _truth(where: str, _setting: Setting, value: object) -> bool:
    text = str(value).strip().lower()
    if text not in _YES | _NO:
        raise SettingError(f"{where} is {plain(repr(value))}, but must be true or false.")
    return text in _YES


def _number(where: str, setting: Setting, value: object) -> float:
    unit = "a number of seconds" if setting.kind == "seconds" else "a whole number"
    problem = f"{where} is {plain(repr(value))}, but must be"
    try:
        number = float(str(value))
    except ValueError:
        raise SettingError(f"{problem} {unit}.") from None
    if math.isnan(number) or (setting.kind != "seconds" and not number.is_integer()):
        raise SettingError(f"{problem} {unit}.")
    seconds = " seconds" if setting.kind == "seconds" else ""
    if number < setting.minimum:
        raise SettingError(f"{problem} at least {setting.minimum:g}{seconds}.")
    if number > setting.maximum:
        raise SettingError(f"{problem} at most {setting.maximum:.12g}{seconds}.")
    return number if setting.kind == "seconds" else int(number)


_CHECKS: dict[Kind, Callable[[str, Setting, object], Value]] = {
    "URL of Redis": _url,
    "web address": _web_address,
    "web address of a trace": _trace_address,
    "list of seconds": _bounds,
    "password": _password,
    "name": _name,
    "choice": _choice,
    "yes or no": _truth,
    "seconds": _number,
    "whole number": _number,
}
