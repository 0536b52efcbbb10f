"""Redis exceptions → our errors, each with the action, the address and the remedy.

| what the store or the network says            | ours             |
|-----------------------------------------------|------------------|
| refused, reset, closed, timed out, no such host; loading, busy, cluster down | StoreUnreachable |
| NOAUTH, WRONGPASS, NOPERM, no TLS or a bad certificate, socket not permitted | StoreRefused |
| OOM                                           | StoreFull        |
| READONLY, MISCONF, NOREPLICAS                 | StoreReadOnly    |
| anything else                                 | StoreError       |
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import redis

from wattstorm.errors import (
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreRefused,
    StoreUnreachable,
)

_RULES: tuple[tuple[str, type[StoreError], str], ...] = (
    ("OOM", StoreFull, "raise its maxmemory, or let the stream run so that the log is trimmed"),
    ("READONLY", StoreReadOnly, "it is a replica: set store.url to its primary"),
    ("MISCONF", StoreReadOnly, "free its disk; its own log says what failed"),
    ("NOREPLICAS", StoreReadOnly, "bring its replicas back, or lower min-replicas-to-write"),
    (
        "NOAUTH",
        StoreRefused,
        "it wants a password: store.password_file, or in store.url or WATTSTORM_STORE_PASSWORD",
    ),
    (
        "WRONGPASS",
        StoreRefused,
        "check user and password: store.password_file, store.url, WATTSTORM_STORE_PASSWORD",
    ),
    ("NOPERM", StoreRefused, "give the user that right: ACL SETUSER <user> +<command> ~<keys>"),
    ("LOADING", StoreUnreachable, "it is loading its data, wait"),
    ("MASTERDOWN", StoreUnreachable, "it is a replica cut off from its primary"),
    ("CLUSTERDOWN", StoreUnreachable, "the cluster lacks some of its nodes, wait or mend it"),
    ("TRYAGAIN", StoreUnreachable, "the cluster is moving keys, wait"),
    ("UNBLOCKED", StoreUnreachable, "it changed its role meanwhile, try again"),
    ("BUSY", StoreUnreachable, "it runs a long script, wait; or end that one with SCRIPT KILL"),
    ("MOVED", StoreError, "it is a node of a cluster: wattstorm needs a single primary"),
    ("CROSSSLOT", StoreError, "it is a cluster: wattstorm needs a single primary"),
)
# By class where redis-py has one (it cuts the code off the message), by code where it has not.
_CODES_OF_CLASSES: tuple[tuple[type[Exception], str], ...] = (
    (redis.exceptions.OutOfMemoryError, "OOM"),
    (redis.exceptions.ReadOnlyError, "READONLY"),
    (redis.exceptions.NoPermissionError, "NOPERM"),
    (redis.exceptions.BusyLoadingError, "LOADING"),
    (redis.exceptions.MasterDownError, "MASTERDOWN"),
    (redis.exceptions.ClusterDownError, "CLUSTERDOWN"),
    (redis.exceptions.TryAgainError, "TRYAGAIN"),
    (redis.exceptions.AskError, "MOVED"),  # and MovedError below it
    (redis.exceptions.ClusterCrossSlotError, "CROSSSLOT"),
)
_CODE = re.compile(rf"-?\b({'|'.join(code for code, _, _ in _RULES)})\b")


def translated(error: redis.RedisError, action: str, address: str) -> StoreError:
    """Our error for `error`, met while trying to `action` at `address` (no password in it)."""
    said = str(error) or type(error).__name__
    what = f"cannot {action}: the store at {address} says: {said}"
    code = _code(error, said)
    for known, kind, remedy in _RULES:
        if known == code:
            return kind(what, remedy)
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return _connection_error(error, action, address, said)
    if isinstance(error, redis.exceptions.InvalidResponse):
        remedy = "is it a Redis, and does it want TLS? then store.url begins with rediss://"
        return StoreRefused(f"cannot {action}: {address} does not speak Redis: {said}", remedy)
    return StoreError(what)


def _code(error: redis.RedisError, said: str) -> str:
    for kind, code in _CODES_OF_CLASSES:
        if isinstance(error, kind):
            return code
    if isinstance(error, redis.AuthenticationError):
        # The text with NOAUTH cut off: "Authentication required."
        return "NOAUTH" if "required" in said else "WRONGPASS"
    if not isinstance(error, redis.ResponseError):
        return ""
    # A pipeline puts the command before the message: its arguments must not be read as a code.
    # A script of Redis 6 puts "ERR Error running script …: -OOM" before it.
    match = _CODE.search(said.rpartition("caused error: ")[2][:300])
    return match[1] if match else ""


def _connection_error(error: redis.RedisError, action: str, address: str, said: str) -> StoreError:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            break  # the other end is gone, TLS or not
        if isinstance(cause, ssl.SSLError):
            return StoreRefused(
                f"cannot {action}: TLS with {address} failed: {cause}",
                "rediss:// needs a server with TLS; name its authority with "
                "?ssl_ca_certs=/path/to/ca.pem, and your certificate if it asks for one with "
                "&ssl_certfile=…&ssl_keyfile=…",
            )
        over_tls = urlsplit(address).scheme == "rediss"
        if over_tls and isinstance(cause, FileNotFoundError | PermissionError):
            return StoreRefused(
                f"cannot {action}: a file that {address} names cannot be read: {cause.strerror}",
                "ssl_ca_certs, ssl_certfile and ssl_keyfile must be on every node",
            )
        if isinstance(cause, PermissionError):
            return StoreRefused(
                f"cannot {action}: {address} may not be opened: {cause}",
                "run as the user who owns the socket, or set its unixsocketperm",
            )
    if isinstance(error, redis.TimeoutError):
        remedy = "is it overloaded or stopped? store.timeout_s says how long to wait"
        if "connecting" in said and urlsplit(address).scheme == "rediss":
            # A Redis without TLS takes the greeting for the beginning of a command, and waits.
            remedy = "does it speak TLS at that port? if not, store.url begins with redis://"
        return StoreUnreachable(f"cannot {action}: no answer from {address} in time", remedy)
    if "max number of clients" in said:
        remedy = "raise its maxclients"
    elif any(isinstance(cause, ssl.SSLEOFError) for cause in _causes(error)):
        # With TLS 1.3 a server may hang up on who has no certificate before it says why.
        remedy = "is it running, and does it want your certificate (&ssl_certfile=…&ssl_keyfile=…)?"
    elif urlsplit(address).scheme == "unix":
        remedy = "is it running? wattstorm doctor looks"
    else:
        remedy = "is it running, and is store.url (REDIS_URL) right? wattstorm doctor looks"
    return StoreUnreachable(f"cannot {action}: no connection to {address}: {said}", remedy)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
