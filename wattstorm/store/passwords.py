"""The store's password out of a file (`store.password_file`), read whenever a process connects.

So a password that was changed needs no restart: connections that are open stay
good, new ones read the file. Its content is in no message, no log and no
topology configuration; its path is.
"""

from __future__ import annotations

import logging
import stat
from pathlib import Path

from redis.credentials import CredentialProvider

from wattstorm.errors import StoreRefused

_log = logging.getLogger(__name__)


class PasswordFile(CredentialProvider):
    """redis-py asks it at each connect. `user`: of the ACL, None for the default one."""

    def __init__(self, path: str, user: str | None) -> None:
        self.path, self.user = Path(path), user
        self._warned = False

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """(user, password) or (password,); StoreRefused, which names the path."""
        try:
            with self.path.open(encoding="utf-8") as file:
                mode = stat.S_IMODE(self.path.stat().st_mode)
                password = file.read(4096).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no UTF-8 text"
            raise StoreRefused(
                f"store.password_file {self.path} cannot be read: {why}",
                "it must be there on every node, readable by the user who runs wattstorm",
            ) from None  # the text that is no UTF-8 may be the password
        if not password:
            raise StoreRefused(
                f"store.password_file {self.path} is empty", "it holds the password and no more"
            )
        # No more than a warning: Docker and Kubernetes mount secrets readable by all, in a
        # place that others cannot reach, and there nobody can change the mode.
        if mode & 0o077 and not self._warned:
            self._warned = True
            _log.warning(
                "store.password_file %s may be read by others (mode %03o): chmod 600",
                self.path,
                mode,
            )
        return (self.user, password) if self.user else (password,)
