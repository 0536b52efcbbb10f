"""The real scripts of `wattstorm/store/lua`, run by Lua 5.1 as in Redis."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any

import lupa.lua51

from tests.simulation.values import Refused, Status

Call = Callable[..., Any]


class Scripts:
    """Compiled scripts of one process; `call` is what `redis.call` does at the moment."""

    def __init__(self) -> None:
        self._lua = lupa.lua51.LuaRuntime(encoding=None, unpack_returned_tuples=False)
        self._table = self._lua.table_from
        self._compiled: dict[bytes, Any] = {}
        self.call: Call = _nobody
        g = self._lua.globals()
        g[b"redis"] = self._table({b"call": self._redis_call, b"sha1hex": _sha1hex})
        g[b"struct"] = self._table({b"unpack": _unpack})

    def run(self, text: bytes, keys: list[bytes], arguments: list[bytes], call: Call) -> Any:
        """What the script answers, as the store would send it."""
        script = self._compiled.get(text)
        if script is None:
            whole = b"return function(KEYS, ARGV) " + text + b"\nend"
            script = self._compiled[text] = self._lua.execute(whole)
        before, self.call = self.call, call
        try:
            return _answer(script(self._table(keys), self._table(arguments)))
        finally:
            self.call = before

    def _redis_call(self, *arguments: Any) -> Any:
        for a in arguments:
            if type(a) is not bytes:
                arguments = tuple([b if type(b) is bytes else _argument(b) for b in arguments])
                break
        value = self.call(*arguments)
        return value if type(value) in _AS_THEY_ARE else self._to_lua(value)

    def _to_lua(self, value: Any) -> Any:
        if value is None:
            return False
        if type(value) is list:
            return self._table([v if type(v) in _AS_THEY_ARE else self._to_lua(v) for v in value])
        return self._table({b"ok": bytes(value)}) if type(value) is Status else value


_AS_THEY_ARE = frozenset((bytes, int))


def _argument(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused("ERR Lua redis lib command arguments must be strings or integers")
    return b"%d" % value if value == int(value) else b"%.17g" % value


def _answer(value: Any) -> Any:
    """A Lua value as a reply: a table ends at its first nil, a number loses its fraction."""
    if type(value) is bytes:
        return value
    if value is None or value is False:
        return None
    if type(value) in (int, float, bool):  # true is 1
        return int(value)
    if (first := value[1]) is None and (ok := value[b"ok"]) is not None:
        return Status(ok)
    out, at, item = [], 1, first
    while item is not None:
        out.append(item if type(item) is bytes else _answer(item))
        at += 1
        item = value[at]
    return out


def _sha1hex(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest().encode()


def _unpack(form: bytes, data: bytes, at: int = 1) -> Any:
    if form != b"<I8":
        raise NotImplementedError(f"struct.unpack({form!r})")
    # As in Redis: a Lua number has 53 bits.
    return float(struct.unpack_from("<Q", data, at - 1)[0])


def _nobody(*_: Any) -> Any:
    raise AssertionError("redis.call outside a script")
