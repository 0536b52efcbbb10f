"""The curve's options for ECharts. Colours are the page's CSS variables, which the SVG renderer
passes through: dark and light need no word with the server."""

from __future__ import annotations

from typing import Any

from wattstorm.serve.page.figures import Scale, scale
from wattstorm.serve.page.views import Line, ScopeView

TODAY, PROVISIONAL, YESTERDAY, LAST_WEEK, FORECAST, COVERAGE = (
    "Today",
    "Today, still filling",
    "Yesterday",
    "A week ago",
    "Forecast",
    "Coverage",
)
_TEXT = {"color": "var(--soft)", "fontFamily": "inherit", "fontSize": 12}
_TIP = """(points) => {
  const row = (p) => {
    const unit = p.seriesName === 'Coverage' ? '%' : p.data && p.data.unit || UNIT;
    const value = typeof p.value === 'number' ? p.value.toLocaleString('en-GB',
      {maximumSignificantDigits: 4}) + ' ' + unit : '–';
    return `<tr><td>${p.marker}${p.seriesName}</td><td>${value}</td></tr>`;
  };
  const seen = points.filter((p) => !p.seriesName.startsWith('_') && typeof p.value === 'number');
  return `<table class="tip"><caption>${points[0].axisValueLabel}</caption>${
    seen.map(row).join('')}</table>`;
}"""


def options(view: ScopeView) -> dict[str, Any]:
    """One chart of two grids: the lines, and below them the coverage of each slot."""
    unit = _unit(view)
    left = 54
    return {
        "animation": False,
        "grid": [
            {"left": left, "right": 12, "top": 26, "bottom": 84},
            {"left": left, "right": 12, "height": 22, "bottom": 12},
        ],
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            "transitionDuration": 0,
            "className": "tip-box",
            "backgroundColor": "var(--raised)",
            "borderColor": "var(--line)",
            "textStyle": {"color": "var(--ink)"},
            ":formatter": _TIP.replace("UNIT", repr(unit.unit)),
            "axisPointer": {"lineStyle": {"color": "var(--soft)", "type": "solid", "width": 1}},
        },
        "xAxis": [_times(view.clocks, 0, True), _times(view.clocks, 1, False)],
        "yAxis": [
            {
                "type": "value",
                "name": unit.unit,
                "nameTextStyle": {**_TEXT, "align": "right", "padding": [0, 8, 0, 0]},
                "nameGap": 10,
                "min": 0,
                "splitNumber": 4,
                "axisLabel": _TEXT,
                "splitLine": {"lineStyle": {"color": "var(--line)"}},
            },
            {
                "type": "value",
                "gridIndex": 1,
                "min": 0,
                "max": 100,
                "interval": 100,
                "axisLabel": {**_TEXT, "formatter": "{value} %"},
                "splitLine": {"lineStyle": {"color": "var(--line)"}},
            },
        ],
        "series": _series(view, unit),
    }


def _unit(view: ScopeView) -> Scale:
    lines = [view.measured, view.provisional, view.yesterday, view.last_week]
    if view.foreseen:
        lines.append(view.foreseen.high)
    return scale(max((v for line in lines for v in line if v is not None), default=0.0), "W")


def _times(clocks: list[str], grid: int, labels: bool) -> dict[str, Any]:
    return {
        "type": "category",
        "gridIndex": grid,
        "data": clocks,
        "boundaryGap": True,
        "axisLine": {"lineStyle": {"color": "var(--line)"}},
        "axisTick": {"show": False},
        "axisLabel": {**_TEXT, "show": labels, "interval": max(0, len(clocks) // 8 - 1)},
    }


def _series(view: ScopeView, unit: Scale) -> list[dict[str, Any]]:
    """Always the same series in the same places, empty ones too: an update keeps them."""
    blank: Line = [None] * len(view.clocks)
    seen = view.foreseen
    low, high = (seen.low, seen.high) if seen else (blank, blank)
    width = [None if a is None or b is None else b - a for a, b in zip(low, high, strict=True)]
    band = {"type": "line", "stack": "band", "symbol": "none", "silent": True}
    clear = {"color": "transparent", "opacity": 0}
    return [
        {**band, "name": "_low", "lineStyle": clear, "data": _data(low, unit)},
        {
            **band,
            "name": "_band",
            "lineStyle": clear,
            "areaStyle": {"color": "var(--forecast)", "opacity": 0.16},
            "data": _data(width, unit),
        },
        _line(LAST_WEEK, view.last_week, unit, "var(--week)", 1.5, [4, 3]),
        _line(YESTERDAY, view.yesterday, unit, "var(--yesterday)", 1.5, "solid"),
        _line(FORECAST, seen.point if seen else blank, unit, "var(--forecast)", 2, "dashed"),
        _line(PROVISIONAL, view.provisional, unit, "var(--today)", 2, [2, 4]),
        {
            **_line(TODAY, view.measured, unit, "var(--today)", 3, "solid"),
            "data": _with_end(_data(view.measured, unit), view.at),
            "z": 5,
        },
        {
            "name": COVERAGE,
            "type": "bar",
            "xAxisIndex": 1,
            "yAxisIndex": 1,
            "barWidth": "70%",
            "color": "var(--coverage)",
            "emphasis": {"disabled": True},
            "data": [_covered(view, place) for place in range(len(view.clocks))],
        },
    ]


def _line(
    name: str, line: Line, unit: Scale, color: str, width: float, kind: str | list[int]
) -> dict[str, Any]:
    return {
        "name": name,
        "type": "line",
        "symbol": "none",
        "color": color,
        "emphasis": {"disabled": True},
        "lineStyle": {"width": width, "type": kind, "color": color},
        "data": _data(line, unit),
    }


def _data(line: Line, unit: Scale) -> list[Any]:
    """Values in the chart's unit, "-" where there is none, as ECharts wants it."""
    return ["-" if value is None else float(f"{value / unit.factor:.5g}") for value in line]


def _with_end(data: list[Any], at: int | None) -> list[Any]:
    """The newest slot has a dot."""
    if at is not None:
        data[at] = {"value": data[at], "symbol": "circle", "symbolSize": 9}
    return data


def _covered(view: ScopeView, place: int) -> Any:
    row, part = view.rows[place], view.coverage[place]
    if row is None or part is None:
        return "-"
    value = round(100 * part, 2)
    if row.final:
        return value
    return {"value": value, "itemStyle": {"color": "var(--filling)"}}
