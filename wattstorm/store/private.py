"""Directories that only this user can enter, and a socket path short enough for the kernel."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from wattstorm.errors import StoreRefused, UsageError
from wattstorm.private_files import make_private

# sockaddr_un holds 108 bytes on Linux, 104 on macOS, the final zero included.
LONGEST_SOCKET_PATH = 100
SOCKET = "store.sock"


def private_directory(path: Path, setting: str = "") -> Path:
    """`path` as a directory of mode 0700 owned by this user, created if it is not there."""
    try:
        make_private(make_private(path.parent) / path.name)
        found = path.lstat()
    except OSError as error:
        remedy = f"set {setting} to a directory that you may write" if setting else ""
        raise UsageError(f"{path} cannot be used as a directory: {error}", remedy) from error
    # Not followed: in a shared directory a link could have been put there by anybody.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise StoreRefused(
            f"{path} is no directory of this user (it belongs to user {found.st_uid})",
            "remove it, or use another data.directory or TMPDIR",
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
    return path


def socket_path(directory: Path) -> Path:
    """Where the server in `directory` listens; beside its data unless that path is too long."""
    beside = directory / SOCKET
    if len(os.fsencode(beside)) <= LONGEST_SOCKET_PATH:
        return beside
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:20]
    for base in (tempfile.gettempdir(), "/tmp"):
        path = Path(base) / f"wattstorm-{os.geteuid()}-{name}" / SOCKET
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            private_directory(path.parent)
            return path
    raise UsageError(f"no directory is near enough for the socket of {directory}", "shorten TMPDIR")
