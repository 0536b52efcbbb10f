"""Who may ask: tokens with roles, in a file that holds their hashes only.

A token is 256 random bits, so a plain SHA-256 of it gives nothing away and needs no salt. The
file is read again when it changes: a token that is revoked ends at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Final

from wattstorm.errors import DataError, UsageError
from wattstorm.private_files import make_private, open_private
from wattstorm.settings import Settings

SCHEMA: Final = 1
PREFIX: Final = "ws_"


class Role(IntEnum):
    """Each may what those before it may. reader: sums and health; analyst: single meters, too;
    operator: changes what runs."""

    NONE = 0
    READER = 1
    ANALYST = 2
    OPERATOR = 3

    @classmethod
    def named(cls, name: str) -> Role:
        """UsageError for what is no role that a token may have."""
        if name not in ROLES:
            raise UsageError(f"the role {name!r}", f"it may be {', '.join(ROLES)}")
        return cls[name.upper()]


ROLES: Final = ("reader", "analyst", "operator")


@dataclass(frozen=True)
class Token:
    """hash: hex of the SHA-256 of the secret; created: UTC."""

    name: str
    role: str
    hash: str
    created: str


class TokenFile:
    """Tokens by their hashes. Reading is for the server, `add` and `revoke` for the command."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._by_hash: dict[str, Token] = {}

    @classmethod
    def of(cls, settings: Settings) -> TokenFile:
        named = settings.serve.tokens
        return cls(Path(named) if named else settings.data.directory / "tokens.json")

    def find(self, secret: str) -> Token | None:
        """Whose it is; None: nobody's."""
        return self._fresh().get(_hash(secret))

    def all(self) -> list[Token]:
        """By name."""
        return sorted(self._fresh().values(), key=lambda token: token.name)

    def add(self, name: str, role: str) -> str:
        """A new token's secret, which is shown this once and kept nowhere."""
        Role.named(role)
        if not name or len(name) > 64 or not name.isprintable():
            raise UsageError(f"the name {name!r} of a token", "give 1 to 64 letters")
        secret = PREFIX + secrets.token_urlsafe(32)
        with self._changing() as tokens:
            if any(token.name == name for token in tokens):
                raise UsageError(
                    f"there is a token {name!r} already", f"wattstorm tokens revoke {name}"
                )
            created = datetime.now(UTC).isoformat(timespec="seconds")
            tokens.append(Token(name, role, _hash(secret), created))
        return secret

    def revoke(self, name: str) -> None:
        with self._changing() as tokens:
            left = [token for token in tokens if token.name != name]
            if len(left) == len(tokens):
                raise UsageError(f"there is no token {name!r}", "see wattstorm tokens list")
            tokens[:] = left

    # ------------------------------------------------------------ inside

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[Token]]:
        """One after the other; the file is replaced as a whole, and on disk."""
        make_private(self.path.parent)
        with open_private(self.path.with_suffix(".lock")) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            tokens = list(self._read().values())
            yield tokens
            beside = self.path.with_suffix(".new")
            with open_private(beside, "w", encoding="utf-8") as file:
                json.dump({"schema": SCHEMA, "tokens": [asdict(t) for t in tokens]}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self.path)

    def _fresh(self) -> dict[str, Token]:
        """What the file holds now; read again where it was changed."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return {}
        stamp = (found.st_mtime_ns, found.st_ino)
        with self._lock:
            if stamp != self._seen:
                self._by_hash, self._seen = self._read(), stamp
            return self._by_hash

    def _read(self) -> dict[str, Token]:
        try:
            held = json.loads(self.path.read_text("utf-8"))
            if held["schema"] != SCHEMA:
                raise ValueError(f"schema {held['schema']}")
            return {each["hash"]: Token(**each) for each in held["tokens"]}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"the file of tokens {self.path} cannot be read: {error}",
                "put back a copy, or remove it and add the tokens anew",
            ) from error


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
