"""A validation as files: `validation.json`, and `validation.html` with its pictures inside."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_STYLE: Final = (
    "body{font:15px sans-serif;max-width:70em;margin:2em auto;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .7em;text-align:right;"
    "border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}"
    ".block{background:#eef6ee}.real{background:#f4f4f4}svg{background:#fcfcfc;margin:.3em}"
)
_COLOURS: Final = ("#444", "#1b7f3b", "#c2571a", "#7a5ab5", "#2a6fb0", "#999", "#b03a6f")


def write(report: Mapping[str, Any], directory: Path) -> Path:
    """Write both files; returns the page. Its pictures are of the report's `examples`."""
    directory.mkdir(parents=True, exist_ok=True)
    plain = {key: value for key, value in report.items() if key != "examples"}
    (directory / "validation.json").write_text(json.dumps(plain, indent=2), "utf-8")
    page = directory / "validation.html"
    page.write_text(_page(plain, report.get("examples", {})), "utf-8")
    return page


def _page(report: Mapping[str, Any], curves: Mapping[str, npt.ArrayLike]) -> str:
    title = f"Synthetic against real homes: {html.escape(str(report['design']))}"
    parts = [
        f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>",
        f"<h1>{title}</h1>",
        f"<p>{report['splits']} splits; mean ± standard deviation over them. <b>real</b> is the"
        " floor: real homes judged as if they were synthetic. c2st: area under the ROC curve of"
        " a classifier that tells synthetic from real (0.5: it cannot).</p>",
        _table(report["table"]),
        _bars(report["table"], "excess_day", "Classifier on days, above the floor"),
        _bars(report["table"], "excess_week", "Classifier on weeks, above the floor"),
    ]
    if curves:
        mean = {name: np.nanmean(np.asarray(x), axis=0) for name, x in curves.items()}
        parts.append("<h2>Mean curve, Wh by slot</h2>" + lines(list(mean), list(mean.values())))
        for name, days in curves.items():
            some = list(np.asarray(days)[:6])
            parts.append(f"<h2>Six days: {html.escape(name)}</h2>" + lines([""] * len(some), some))
    facts = html.escape(json.dumps(report.get("trained_on", {}), indent=1))
    parts.append(f"<h2>Trained on</h2><pre>{facts}</pre>")
    return "\n".join(parts)


def _table(table: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    keys = sorted({key for row in table.values() for key in row})
    head = "".join(f"<th class={name}>{html.escape(name)}</th>" for name in table)
    rows = []
    for key in keys:
        cells = []
        for name, row in table.items():
            text = f"{row[key][0]:.3f} ± {row[key][1]:.3f}" if key in row else ""
            cells.append(f"<td class={name}>{text}</td>")
        rows.append(f"<tr><td>{html.escape(key)}</td>{''.join(cells)}</tr>")
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _bars(table: Mapping[str, Mapping[str, Sequence[float]]], key: str, title: str) -> str:
    """Horizontal bars, one a rival."""
    shown = [(name, row[key]) for name, row in table.items() if key in row]
    out = [f'<h2>{title}</h2><svg width="640" height="{24 * len(shown) + 8}">']
    for i, (name, (mean, spread)) in enumerate(shown):
        y, width = 24 * i + 4, max(0.0, mean) / 0.5 * 420
        out.append(
            f'<text x="4" y="{y + 14}" font-size="13">{html.escape(name)}</text>'
            f'<rect x="110" y="{y}" width="{width:.1f}" height="18" fill="{_colour(i)}"/>'
            f'<text x="{116 + width:.1f}" y="{y + 14}" font-size="12">'
            f"{mean:.3f} ± {spread:.3f}</text>"
        )
    return "".join(out) + "</svg>"


def lines(names: Sequence[str], curves: Sequence[npt.ArrayLike]) -> str:
    """An SVG of curves float[slots] over the day."""
    values = [np.asarray(c, float) for c in curves]
    top = max((float(np.nanmax(v)) for v in values if v.size), default=1.0) or 1.0
    out = ['<svg width="680" height="220" viewBox="0 0 680 220">']
    out.append(f'<text x="2" y="12" font-size="11">{top:,.0f} Wh</text>')
    for hour in range(0, 25, 6):
        x = 10 + hour / 24 * 660
        out.append(f'<text x="{x - 8:.0f}" y="216" font-size="11">{hour}:00</text>')
    for i, v in enumerate(values):
        points = " ".join(
            f"{10 + (s + 0.5) / v.size * 660:.1f},{200 - w / top * 185:.1f}"
            for s, w in enumerate(v)
            if np.isfinite(w)
        )
        out.append(
            f'<polyline fill="none" stroke="{_colour(i)}" stroke-width="1.4" points="{points}"/>'
        )
        if names[i]:
            out.append(
                f'<text x="{560}" y="{16 + 14 * i}" font-size="12" fill="{_colour(i)}">'
                f"{html.escape(names[i])}</text>"
            )
    return "".join(out) + "</svg>"


def _colour(i: int) -> str:
    return _COLOURS[i % len(_COLOURS)]
