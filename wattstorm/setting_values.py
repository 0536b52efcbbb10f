"""What one setting may hold: reading it from text, checking it, showing it.

Each refusal names the setting with its origin, the value, the limit and the remedy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit
from zoneinfo import ZoneInfo, available_timezones

from wattstorm.errors import UsageError

MASK = "***"
Kind: TypeAlias = Any
"""A setting's type as it is annotated: one of `_KINDS`."""
TEXTS: Final[Kind] = tuple[str, ...]
_SECRET_ARGUMENTS = ("password", "ssl_password")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds (both included), allowed values, or a function that raises UsageError. A list may be
    empty if `low` is 0.

    `check` takes (value, the setting's name with its origin). `secret` marks a
    URL whose password must be masked where it is shown.
    """

    low: float = -math.inf
    high: float = math.inf
    choices: tuple[Any, ...] = ()
    check: Callable[[Any, str], None] | None = None
    secret: bool = False


def checked(kind: Kind, value: Any, limits: Limits, name: str) -> Any:
    """`value` as the setting's type, or UsageError."""
    value = _typed(kind, value, name)
    if isinstance(value, tuple):
        _check_list(value, limits, name)
    elif limits.choices and value not in limits.choices:
        allowed = ", ".join(map(str, limits.choices))
        hint = closest(value, limits.choices, cutoff=0.7) if isinstance(value, str) else ""
        raise UsageError(f"{name} is {value!r}", hint or f"it may be one of {allowed}")
    # Written so that NaN, which compares false with everything, is refused.
    if isinstance(value, int | float) and not limits.low <= value <= limits.high:
        raise UsageError(f"{name} is {value}", f"it must be {_range(limits)}")
    if limits.check is not None:
        limits.check(value, name)
    return value


def _typed(kind: Kind, value: Any, name: str) -> Any:
    if kind is Path and isinstance(value, str | Path) and str(value):
        return Path(value).expanduser().absolute()
    if kind is str and isinstance(value, str):
        return value
    # bool is an int to Python, and to nobody else.
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    is_list = kind == TEXTS and isinstance(value, list | tuple)
    if is_list and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise UsageError(
        f"{name} is {value!r}, of type {type(value).__name__}", f"it must be {_KINDS[kind]}"
    )


_KINDS: dict[Kind, str] = {
    Path: "the path of a directory",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    TEXTS: "a list of texts",
}
_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _check_list(value: tuple[str, ...], limits: Limits, name: str) -> None:
    allowed = ", ".join(limits.choices)
    for each in value:
        if limits.choices and each not in limits.choices:
            hint = closest(each, limits.choices, cutoff=0.7)
            raise UsageError(f"{name} holds {each!r}", hint or f"it may hold {allowed}")
    if not value and limits.low == 0:
        return
    if not value or len(set(value)) != len(value):
        raise UsageError(
            f"{name} is {list(value)}", f"it must hold at least one of {allowed}, each once"
        )


def _range(limits: Limits) -> str:
    if math.isinf(limits.high):
        return f"at least {limits.low:g}"
    return f"between {limits.low:g} and {limits.high:g}"


def parse(kind: Kind, text: str, name: str) -> Any:
    """A value out of an environment variable, by the setting's type."""
    if kind == TEXTS:
        return [each.strip() for each in text.split(",") if each.strip()]
    try:
        if kind is bool:
            return _BOOLS[text.strip().lower()]
        return kind(text) if kind in (int, float) else text
    except (KeyError, ValueError):
        raise UsageError(f"{name} is {text!r}", f"it must be {_KINDS[kind]}") from None


def shown(value: Any) -> str:
    """A value as it would stand in TOML, as far as a reader cares."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(str, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return str(value)


def closest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """ "did you mean …?" for a word that is nearly one of `known`, else ""."""
    near = get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"did you mean {near[0]}?" if near else ""


# ---------------------------------------------------------------- single settings


def clock_times(value: tuple[str, ...], name: str) -> None:
    for each in value:
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", each):
            raise UsageError(f"{name} holds {each!r}", "write HH:MM, such as 00:00 or 12:00")


def store_url(value: str, name: str) -> None:
    try:
        parts = urlsplit(value)
        whole = bool(parts.path if parts.scheme == "unix" else parts.hostname)
        _ = parts.port  # raises when it is no port number
    except ValueError:
        whole = False
        parts = urlsplit("")
    if value and not (whole and parts.scheme in ("redis", "rediss", "unix")):
        raise UsageError(
            f"{name} is {mask_url(value)!r}",
            "it must look like redis://host:6379/0, rediss://user:password@host:6379/0 or "
            "unix:///path/to/socket; empty: the embedded store",
        )


def absolute_path(value: str, name: str) -> None:
    if value and not Path(value).is_absolute():
        raise UsageError(f"{name} is {value!r}", "it must be a path that begins with /, or empty")


def key_prefix(value: str, name: str) -> None:
    # No ':' and no '{}': they are ours, to part the names of keys.
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", value):
        raise UsageError(f"{name} is {value!r}", "it must be 1 to 64 letters, digits or any of _.-")


def time_zone(value: str, name: str) -> None:
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):  # a directory, an absolute path, an unknown name
        raise UsageError(
            f"{name} is {value!r}, which is no time zone",
            closest(value, sorted(available_timezones())) or 'an IANA name such as "Europe/Paris"',
        ) from None


def topology(value: str, name: str) -> None:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", value):
        raise UsageError(
            f"{name} is {value!r}", "it must look like topologies.load_curves:LoadCurves"
        )


# ---------------------------------------------------------------- passwords in URLs


def split_password(url: str) -> tuple[str, str | None]:
    """(the URL without any password, the password or None).

    redis-py takes it from `user:password@` or, for unix://, from `?password=`;
    the query wins there, so it does here.
    """
    return _replaced_password(url, None)


def mask_url(url: str) -> str:
    """The URL as it may be shown: every password in it replaced by ***."""
    return _replaced_password(url, MASK)[0]


def _replaced_password(url: str, mask: str | None) -> tuple[str, str | None]:
    try:
        parts = urlsplit(url)
    except ValueError:  # such as a broken IPv6 address: nothing of it may be shown safely
        return MASK, None
    password = None if parts.password is None else unquote(parts.password)
    user, at, host = parts.netloc.rpartition("@")
    if parts.password is not None:
        user = user.partition(":")[0] + (f":{mask}" if mask else "")
        at = "@" if user else ""
    query = []
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key == "password":
            password = value
        if key not in _SECRET_ARGUMENTS:
            query.append((key, value))
        elif mask:
            query.append((key, mask))
    text = urlencode(query, safe="*/:,", quote_via=quote)
    shown = urlunsplit((parts.scheme, user + at + host, parts.path, text, ""))
    if parts.scheme == "unix" and not shown.startswith("unix://"):
        shown = "unix://" + shown.removeprefix("unix:")  # urlunsplit drops an empty host's //
    return shown, password
