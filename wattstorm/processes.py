"""Processes by number, without mistaking one for a later one of the same number (Linux)."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def started(pid: int) -> str:
    """When a process started, in the kernel's ticks; "" if there is none, or only its corpse."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def end_with_parent(number: int) -> None:
    """Let the kernel send this process the signal `number` when its parent ends (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def is_alive(pid: int) -> bool:
    return bool(started(pid))
