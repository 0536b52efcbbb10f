"""How every benchmark prints: a table, the machine, and one JSON line on request."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path

Figure = float | None
"""None: nothing was delivered, or what it is a ratio of was not; null in the JSON."""


def machine() -> str:
    """CPU model, cores and memory, as a line."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        cpu = models[0].partition(":")[2].strip() if models else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}"


def heading(title: str) -> None:
    print(f"{title}\n{machine()}", flush=True)


def row(name: str, value: Figure, unit: str) -> None:
    """One line of the table, on the screen at once: what is measured later may fail."""
    shown = f"{value:>12,.2f} {unit}" if value is not None else "     nothing was delivered"
    print(f"  {name:<36} {shown}", flush=True)


def as_json(figures: Mapping[str, Figure]) -> str:
    return json.dumps({k: None if v is None else round(float(v), 4) for k, v in figures.items()})


def ratio(of: Figure, to: Figure) -> Figure:
    """of / to; None where one of them is nothing."""
    return of / to if of is not None and to else None


def report(
    title: str, rows: list[tuple[str, Figure, str]], figures: Mapping[str, Figure], json_too: bool
) -> None:
    """Print rows of (name, value, unit); with json_too end with `figures` as one JSON line."""
    heading(title)
    for name, value, unit in rows:
        row(name, value, unit)
    if json_too:
        print(as_json(figures))
