"""Directories and files that only their owner may read, wherever they are put.

Readings of homes and their meters' ids are in them. A data directory that an administrator made
may be open to others, so each file says so of itself. What is there already keeps its mode: who
opened it to a group may have meant it (`wattstorm doctor` says so).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any


def make_private(directory: Path) -> Path:
    """The directory; if it is not there it is made, mode 0700, and what is above it as usual."""
    if not directory.is_dir():
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
    return directory


def open_private(path: Path, mode: str = "wb", **how: Any) -> IO[Any]:
    """`open`, but a file that it creates has mode 0600."""
    return open(path, mode, opener=_private, **how)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
