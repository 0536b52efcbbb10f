"""A backtest as one HTML file without scripts: figures, the last days, the error by slot."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import numpy as np

from models.forecast import metrics
from models.forecast.backtest import Played
from models.forecast.calendar import Floats
from models.forecast.days import Table

WIDE, HIGH, SHOWN = 960, 240, 14
STYLE = "body{font:14px sans-serif;max-width:1000px;margin:2em auto}td{padding:2px 12px}"


def write_report(
    directory: Path, figures: dict[str, Any], days: Table, played: Played, test: slice
) -> None:
    """report.html, and report.json beside it with the same figures."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "report.json").write_text(json.dumps(figures, indent=1))
    last = slice(max(test.start, test.stop - SHOWN), test.stop)
    low, high = metrics.interval(played.quantiles[:, last], 0.9)
    curves = {
        "#bbb": low.ravel(),
        "#bbc": high.ravel(),
        "#c33": played.point[last].ravel(),
        "#222": days.values["load"][last].ravel(),
    }
    numbers = {k: v for k, v in figures.items() if not isinstance(v, list)}
    shown = {k: f"{v:,.3f}" if isinstance(v, float) else str(v) for k, v in numbers.items()}
    rows = "".join(f"<tr><td>{html.escape(k)}<td>{html.escape(v)}" for k, v in shown.items())
    by_slot = {"#c33": np.array(figures["mape_by_slot"])}
    (directory / "report.html").write_text(
        f"<!doctype html><meta charset=utf-8><title>Backtest</title><style>{STYLE}</style>"
        f"<h1>Backtest, {days.days[test.start]} to {days.days[test.stop - 1]}</h1>"
        f"<table>{rows}</table><h2>The last {last.stop - last.start} days: "
        "load (black), forecast (red), 90 % (grey)</h2>"
        f"{_plot(curves)}<h2>MAPE by slot of the day</h2>{_plot(by_slot, from_zero=True)}"
    )


def _plot(curves: dict[str, Floats], from_zero: bool = False) -> str:
    """Lines over a common scale as SVG; NaN leaves a gap."""
    every = np.concatenate(list(curves.values()))
    least = 0.0 if from_zero else float(np.nanmin(every))
    span = max(float(np.nanmax(every)) - least, 1e-9)
    lines = []
    for colour, values in curves.items():
        x = np.linspace(0, WIDE, len(values))
        y = HIGH - (values - least) / span * HIGH
        marks = [f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True) if np.isfinite(b)]
        lines.append(f"<polyline fill=none stroke='{colour}' points='{' '.join(marks)}'/>")
    top = f"<text x=2 y=12 font-size=11>{least + span:,.1f}</text>"
    foot = f"<text x=2 y={HIGH - 2} font-size=11>{least:,.1f}</text>"
    return f"<svg viewBox='0 0 {WIDE} {HIGH}' width=100%>{''.join(lines)}{top}{foot}</svg>"
