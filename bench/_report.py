"""How every benchmark prints: a table, the machine, and one JSON line on request."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path


def machine() -> str:
    """CPU model, cores and memory, as a line."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        cpu = models[0].partition(":")[2].strip() if models else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}"


def report(
    title: str, rows: list[tuple[str, float, str]], figures: dict[str, float], as_json: bool
) -> None:
    """Print rows of (name, value, unit); with as_json end with `figures` as one JSON line."""
    print(f"{title}\n{machine()}")
    for name, value, unit in rows:
        print(f"  {name:<34} {value:>12,.2f} {unit}")
    if as_json:
        print(json.dumps({k: round(float(v), 4) for k, v in figures.items()}))
