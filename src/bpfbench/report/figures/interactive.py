# SPDX-License-Identifier: Apache-2.0
"""The same charts for Plotly, as plain data: values on hover, setups to switch off, a logarithmic scale.

Only attributes of Plotly's own figure schema, so that the page's script has nothing to do but hand them over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bpfbench.report.chart import Bar, Chart, Mark, Pair, Panel, PanelRow
from bpfbench.report.figures.palette import BAND, BAND_MEAN, GRID, INK, LOST, QUIET, Look

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
ROW_PX = 230
LABEL_PX = 8
"""Of a label's letter, along its line."""
TITLE_PX = 40
"""Of an axis' title, and between rows without labels."""
LINE_PX = 20
COLUMN_GAP = 0.05
"""As a share of a column."""

Trace = dict[str, Any]


def figure(chart: Chart, looks: dict[str, Look]) -> dict[str, Any]:
    """Return a Plotly figure: `data` and `layout`."""
    data: list[Trace] = []
    layout = _layout(chart)
    for number, row in enumerate(chart.drawn):
        first = number * len(chart.columns) + 1
        for column, panel in enumerate(row.panels):
            axes = str(first + column) if first + column > 1 else ""  # Plotly's first have no number
            layout[f"xaxis{axes}"] = _x_axis(panel, titled=chart.says_its_x(number, column))
            layout[f"yaxis{axes}"] = _y_axis(row, first, column)
            layout["shapes"] += _band(panel, axes)
            if panel.absent is not None:
                place = {"xref": f"x{axes} domain", "yref": f"y{axes} domain", "x": 0.5, "y": 0.5}
                layout["annotations"].append({**_text(panel.absent), **place})
            data += [{**trace, "xaxis": f"x{axes}", "yaxis": f"y{axes}"} for trace in _traces(panel, looks)]
    named: set[str] = set()
    for trace in data:  # one entry in the legend for each, whichever panel it first occurs in
        trace |= {"name": trace["legendgroup"], "showlegend": trace["legendgroup"] not in named}
        named.add(trace["legendgroup"])
    return {"data": data, "layout": layout}


def _layout(chart: Chart) -> dict[str, Any]:
    """What all panels share: their grid, and the tools above its columns."""
    rows, columns = len(chart.drawn), len(chart.columns)
    labels_px = LABEL_PX * chart.longest_label
    gap = labels_px if any(map(chart.labelled, range(rows - 1))) else TITLE_PX
    top, bottom = TITLE_PX + LINE_PX * len(chart.missing), TITLE_PX + labels_px
    above = {"xref": "paper", "yref": "paper", "y": 1, "yanchor": "bottom"}
    headings = (
        {"text": f"<b>{_escaped(title)}</b>", "showarrow": False, **above, "x": (at + 0.5) / columns, "yshift": 6}
        for at, title in enumerate(chart.columns)
    )
    missing = ({**_text(text), **above, "x": 0.5, "yshift": 28 + LINE_PX * at} for at, text in enumerate(chart.missing))
    return {
        "height": rows * ROW_PX + (rows - 1) * gap + top + bottom,
        "margin": {"l": 68, "r": 8, "t": top, "b": bottom},
        "grid": {
            "rows": rows,
            "columns": columns,
            "pattern": "independent",
            "xgap": COLUMN_GAP,
            "ygap": gap / (ROW_PX + gap),
        },
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "barmode": "stack",
        "bargap": 0.28,
        "hovermode": "closest",
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "groupclick": "togglegroup"},
        "shapes": [],
        "annotations": [*headings, *missing],
    }


def _x_axis(panel: Panel, *, titled: bool) -> dict[str, Any]:
    axis: dict[str, Any] = {"showgrid": False, "zeroline": False, "linecolor": QUIET, "showline": True}
    if panel.absent is not None:
        return {**axis, "showticklabels": False, "showline": False}
    axis |= {"range": [_round(end) for end in panel.x_range], "showticklabels": titled}
    if titled and panel.x_title:
        axis["title"] = {"text": panel.x_title, "standoff": 8}
    if panel.ticks:
        places, names = zip(*panel.ticks, strict=True)
        axis |= {"tickvals": list(places), "ticktext": [_escaped(name) for name in names], "tickangle": -90}
    return axis


def _y_axis(row: PanelRow, first: int, column: int) -> dict[str, Any]:
    """The axis of a panel; all of a row follow that of its first, whose number is `first`."""
    axis: dict[str, Any] = {"gridcolor": GRID, "zeroline": False, "type": "log" if row.log else "linear"}
    if row.y_range is not None:
        axis["range"] = [_round(end) for end in row.y_range]
    if column:
        return {**axis, "showticklabels": False, "matches": f"y{first}" if first > 1 else "y"}
    return {**axis, "title": {"text": row.y_title, "standoff": 6}}


def _band(panel: Panel, axes: str) -> Iterator[dict[str, Any]]:
    if panel.band is None:
        return
    across = {"xref": f"x{axes} domain", "yref": f"y{axes}", "x0": 0, "x1": 1, "layer": "below"}
    if panel.band.spread is not None:
        low, high = panel.band.spread
        yield {"type": "rect", "y0": low, "y1": high, "fillcolor": BAND, "line": {"width": 0}, **across}
    mean = panel.band.y
    yield {"type": "line", "y0": mean, "y1": mean, "line": {"color": BAND_MEAN, "width": 1}, **across}


def _traces(panel: Panel, looks: dict[str, Look]) -> Iterator[Trace]:
    if len(panel.front) > 1:
        style = {"color": QUIET, "dash": "dash", "width": 1.2}
        yield {**_points("Pareto front", *panel.front), "mode": "lines", "line": style, "hoverinfo": "skip"}
    for x, mark in panel.placed():
        yield from _mark(x, mark, looks[mark.setup])
    for at, bar in enumerate(panel.bars):
        yield from _bar(at, bar, looks[bar.setup])
    for line in panel.lines:
        look = looks[line.setup]
        yield {
            **_points(line.setup, *line.points),
            "mode": "lines",
            "line": {"color": look.colour, "dash": look.dash, "width": 2},
            "hovertemplate": f"%{{y}}<extra>{_escaped(line.label)}</extra>",
        }
    if panel.paper:
        marker = {"symbol": "diamond-tall", "size": 11, "color": "#ffffff", "line": {"color": INK, "width": 1.4}}
        points = ((at - 0.3, y) for at, y in panel.paper)
        hover = "%{y}<extra>the paper</extra>"
        yield {**_points("the paper", *points), "mode": "markers", "marker": marker, "hovertemplate": hover}


def _mark(x: float, mark: Mark, look: Look) -> Iterator[Trace]:
    hover = f"<br>{_escaped(mark.hover)}" if mark.hover else ""
    yield {
        **_points(mark.setup, (x, mark.y)),
        "mode": "markers",
        "error_x": _error(x, mark.x_spread),
        "error_y": _error(mark.y, mark.spread),
        "marker": {"color": look.colour, "symbol": look.symbol, "size": 10, "line": {"color": INK, "width": 1}},
        "hovertemplate": f"%{{y}}{hover}<extra>{_escaped(mark.label)}</extra>",
    }
    if len(mark.trials) > 1:
        yield {
            **_points(mark.setup, *((x + 0.3, value) for value in mark.trials)),
            "mode": "markers",
            "marker": {"color": look.colour, "size": 5, "opacity": 0.55},
            "hovertemplate": f"%{{y}}<extra>trial of {_escaped(mark.label)}</extra>",
        }


def _error(value: float, spread: Pair | None) -> dict[str, Any]:
    if spread is None:
        return {"visible": False}
    up, down = _round(spread[1] - value), _round(value - spread[0])
    return {"type": "data", "array": [up], "arrayminus": [down], "color": INK, "thickness": 1.2, "width": 4}


def _bar(at: int, bar: Bar, look: Look) -> Iterator[Trace]:
    for number, part in enumerate(bar.parts):
        colour, opacity = (LOST, 1.0) if part.is_rest else (look.colour, max(0.35, 1 - 0.4 * number))
        yield {
            **_points(bar.setup, (at, part.value)),
            "type": "bar",
            "marker": {"color": colour, "opacity": opacity},
            "hovertemplate": f"{part.name}: %{{y}}<br>{_escaped(bar.hover)}<extra>{_escaped(bar.label)}</extra>",
        }


def _points(group: str, *points: Pair) -> Trace:
    """Points of one setup, whole where an axis ends, too."""
    return {
        "type": "scatter",
        "legendgroup": _escaped(group),
        "x": [_round(x) for x, _ in points],
        "y": [_round(y) for _, y in points],
        "cliponaxis": False,
    }


def _text(text: str) -> dict[str, Any]:
    return {"text": _escaped(text), "showarrow": False, "font": {"color": QUIET}}


def _escaped(text: str) -> str:
    """Plotly takes a few HTML tags in its texts: none of ours are meant as one."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _round(value: float) -> float:
    """Six figures: more nobody can see, and each is a byte of the page."""
    return float(f"{value:.6g}")
