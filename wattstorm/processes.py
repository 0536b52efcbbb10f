"""Processes by number, without mistaking one for a later one of the same number (Linux)."""

from __future__ import annotations

from pathlib import Path


def started(pid: int) -> str:
    """When a process started, in the kernel's ticks; "" if there is none, or only its corpse."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def is_alive(pid: int) -> bool:
    return bool(started(pid))
