"""Numbers, tables and a small plot, for a terminal and for a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console

_UNITS = ((10**12, "TWh"), (10**9, "GWh"), (10**6, "MWh"), (10**3, "kWh"))
_BLOCKS = " ▁▂▃▄▅▆▇█"
_PIPE_WIDTH = 110


def console() -> Console:
    """Stdout; colours only on a terminal, and not with NO_COLOR."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2 if sys.stdout.isatty() else None, default=str))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Aligned lines, never cut off; a column whose name begins with ">" stands to the right.

    >>> print(table(("tariff", ">Wh"), [("base_6", "7"), ("base_12", "1,234")]))
    tariff      Wh
    base_6       7
    base_12  1,234
    """
    cells = [[name.lstrip(">") for name in columns], *(list(map(str, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [name.startswith(">") for name in columns]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in cells
    )


def energy(wh: int) -> str:
    """A few digits with a unit, for a person; the exact Wh are in --json and --csv.

    >>> energy(219_546), energy(-1_500_000), energy(7)
    ('219.5 kWh', '-1.5 MWh', '7 Wh')
    """
    for size, unit in _UNITS:
        if abs(wh) >= size:
            return f"{wh / size:,.1f} {unit}"
    return f"{wh} Wh"


def plot(values: Sequence[int], height: int = 8) -> list[str]:
    """Lines of a bar plot, one column a value, from zero (or the lowest value) upwards.

    >>> plot([0, 4, 8], height=2)
    ['  █', ' ██']
    """
    low, high = min(0, *values), max(0, *values)
    span = (high - low) or 1
    eighths = [round((value - low) * height * 8 / span) for value in values]
    return [
        "".join(_BLOCKS[min(8, max(0, n - 8 * row))] for n in eighths)
        for row in reversed(range(height))
    ]


def print_plot(out: Console, values: Sequence[int], labels: Sequence[str]) -> None:
    """The plot with its highest value above and local times below; nothing without values."""
    if not values:
        return
    width = max(12, out.width - 4)
    step = -(-len(values) // width)
    shown = [sum(values[at : at + step]) for at in range(0, len(values), step)]
    marks = [label[11:16] for label in labels[::step]]
    out.print(f"  highest {energy(max(shown))} in a slot", style="dim", markup=False)
    for line in plot(shown):
        out.print("  " + line, style="cyan", markup=False)
    axis = ""
    for at in range(0, len(shown), 12):
        axis = axis.ljust(at) + marks[at]
    out.print("  " + axis, style="dim", markup=False)
