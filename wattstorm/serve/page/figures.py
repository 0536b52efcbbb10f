"""Figures as people read them: three digits and a unit."""

from __future__ import annotations

from typing import NamedTuple

_STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
NOTHING = "–"


class Scale(NamedTuple):
    """One unit for all values of a chart: value / factor is in `unit`."""

    factor: float
    unit: str


def scale(most: float, unit: str) -> Scale:
    """The unit in which `most` has one to four digits.

    >>> scale(412_000_000, "W"), scale(3.0, "Wh")
    (Scale(factor=1000000.0, unit='MW'), Scale(factor=1.0, unit='Wh'))
    """
    for factor, prefix in _STEPS:
        if abs(most) >= factor:
            return Scale(factor, prefix + unit)
    return Scale(1.0, unit)


def digits(value: float) -> str:
    """Three digits that count.

    >>> [digits(x) for x in (412.34, 41.234, 4.1234, 0.0, 1234.5)]
    ['412', '41.2', '4.12', '0', '1,234']
    """
    if value == 0:
        return "0"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def quantity(value: float | None, unit: str) -> str:
    """
    >>> quantity(412_340_000, "W"), quantity(None, "W")
    ('412 MW', '–')
    """
    if value is None:
        return NOTHING
    factor, name = scale(value, unit)
    return f"{digits(value / factor)} {name}"


def change(now: float | None, then: float | None) -> str:
    """How much more than then, in percent with its sign.

    >>> change(103, 100), change(97.9, 100), change(1, 0), change(None, 3)
    ('+3.0 %', '−2.1 %', '–', '–')
    """
    if now is None or not then:
        return NOTHING
    percent = round(100 * (now / then - 1), 1)
    return f"{'−' if percent < 0 else '+'}{abs(percent):,.1f} %"


def share(part: float | None, digits_after: int = 1) -> str:
    """
    >>> share(0.9975), share(0.99996), share(1.0), share(None)
    ('99.8 %', '99.9 %', '100 %', '–')
    """
    if part is None:
        return NOTHING
    if part >= 1:
        return "100 %"
    top = 100 - 10**-digits_after
    return f"{min(round(100 * part, digits_after), top):.{digits_after}f} %"


def count(n: float) -> str:
    """
    >>> count(133_979_859), count(9_574)
    ('134 M', '9,574')
    """
    factor, name = scale(n, "")
    return f"{digits(n / factor)} {name}".strip() if abs(n) >= 100_000 else f"{n:,.0f}"


def ago(seconds: float) -> str:
    """
    >>> [ago(s) for s in (0.4, 12, 150, 8000, 200_000)]
    ['just now', '12 s ago', '2 min ago', '2.2 h ago', '2.3 days ago']
    """
    if seconds < 2:
        return "just now"
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min ago"
    return (
        f"{seconds / 3600:.1f} h ago" if seconds < 172_800 else f"{seconds / 86_400:.1f} days ago"
    )
