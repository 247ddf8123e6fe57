# SPDX-License-Identifier: Apache-2.0
"""The same charts for Plotly, as plain data: values on hover, setups to switch off, a logarithmic scale.

Only attributes of Plotly's own figure schema, so that the page's script has nothing to do but hand them over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from bpfbench.report.chart import (
    Absent,
    Chart,
    Dots,
    Line,
    Lines,
    Mark,
    Panel,
    PanelRow,
    Scatter,
    Stack,
    Stacks,
    labels,
    says_its_x,
    x_range,
)
from bpfbench.report.figures.palette import BAND, BAND_MEAN, GRID, INK, LOST, QUIET, Look

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
ROW_PX = 230
ABSENT_ROW_PX = 70
LABEL_PX = 8
"""Of a label's letter, along its line."""

GAP_PX = 40
"""Between rows, where no labels are."""

COLUMN_GAP = 0.025
"""As a share of the figure."""

Trace = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a panel is: the number of its axes, from 1, and the part of the figure it has."""

    number: int
    row_first: int
    """The number of the first panel of its row, whose y axis the others follow."""
    x: tuple[float, float]
    y: tuple[float, float]
    titled: bool
    """Whether its x axis has ticks and a title."""

    @property
    def suffix(self) -> str:
        """Plotly's first axis has none."""
        return "" if self.number == 1 else str(self.number)


def figure(chart: Chart, looks: dict[str, Look]) -> dict[str, Any]:
    """Return a Plotly figure: `data` and `layout`."""
    data: list[Trace] = []
    layout = _layout(chart)
    layout["annotations"] += _headings(chart)
    for row, panel, place in _places(chart):
        layout[f"xaxis{place.suffix}"] = _x_axis(panel, place)
        layout[f"yaxis{place.suffix}"] = _y_axis(row, panel, place)
        layout["shapes"] += _band(panel, place)
        if isinstance(panel, Absent):
            layout["annotations"].append(_text(panel.reason, place, QUIET))
        data += [{**trace, "xaxis": f"x{place.suffix}", "yaxis": f"y{place.suffix}"} for trace in _traces(panel, looks)]
    return {"data": _named_once(data), "layout": layout}


def _named_once(data: Sequence[Trace]) -> list[Trace]:
    """Give each setup one entry in the legend, whichever panel it first occurs in."""
    seen: set[str] = set()
    found = []
    for trace in data:
        group = trace["legendgroup"]
        found.append({**trace, "name": group, "showlegend": group not in seen})
        seen.add(group)
    return found


def _layout(chart: Chart) -> dict[str, Any]:
    bottom = 40 + LABEL_PX * _longest(chart)
    return {
        "height": sum(height for height, _ in _heights(chart)) + 40 + bottom,
        "margin": {"l": 68, "r": 8, "t": 40, "b": bottom},
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "barmode": "stack",
        "bargap": 0.28,
        "hovermode": "closest",
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "groupclick": "togglegroup"},
        "shapes": [],
        "annotations": [],
    }


def _headings(chart: Chart) -> list[dict[str, Any]]:
    """The tools, above their columns."""
    width = 1 / len(chart.columns)
    above = {"xref": "paper", "yref": "paper", "y": 1, "yanchor": "bottom", "yshift": 6, "showarrow": False}
    return [
        {**above, "x": (number + 0.5) * width, "text": f"<b>{_escaped(title)}</b>"}
        for number, title in enumerate(chart.columns)
    ]


def _longest(chart: Chart) -> int:
    return max((len(label) for panel in chart.panels() for label in labels(panel)), default=5)


def _heights(chart: Chart) -> list[tuple[int, int]]:
    """Of each row, all of it and what is below its panels, in pixels."""
    found = []
    for number, row in enumerate(chart.rows):
        last = all(below.absent is not None for below in chart.rows[number + 1 :])
        titled = any(says_its_x(chart, number, column) for column in range(len(chart.columns)))
        below = 0 if last or row.absent is not None else LABEL_PX * _longest(chart) if titled else GAP_PX
        found.append(((ROW_PX if row.absent is None else ABSENT_ROW_PX) + below, below))
    return found


def _places(chart: Chart) -> Iterator[tuple[PanelRow, Panel, _Place]]:
    heights = _heights(chart)
    total = sum(height for height, _ in heights)
    tops = [1 - top / total for top in accumulate([0, *(height for height, _ in heights)])]
    columns = len(chart.columns)
    number = 0
    for index, row in enumerate(chart.rows):
        y = (tops[index + 1] + heights[index][1] / total, tops[index])
        row_first = number + 1
        for column, panel in enumerate(row.panels):
            number += 1
            left = column / columns + (COLUMN_GAP / 2 if column else 0)
            right = (column + 1) / columns - (COLUMN_GAP / 2 if column + 1 < columns else 0)
            yield row, panel, _Place(number, row_first, (left, right), y, says_its_x(chart, index, column))


def _x_axis(panel: Panel, place: _Place) -> dict[str, Any]:
    axis: dict[str, Any] = {
        "domain": list(place.x),
        "anchor": f"y{place.suffix}",
        "showgrid": False,
        "zeroline": False,
        "linecolor": QUIET,
        "showline": True,
    }
    match panel:
        case Dots() | Stacks():
            names = [_escaped(label) for label in labels(panel)]
            axis |= {"type": "category", "categoryorder": "array", "categoryarray": names, "tickangle": -90}
            axis |= {"range": [-0.6, len(names) - 0.4], "showticklabels": place.titled}
        case Lines(ticks=ticks, x_title=title):
            axis |= {"title": {"text": title, "standoff": 8}} if place.titled else {}
            if ticks:
                axis |= {"tickvals": [at for at, _ in ticks], "ticktext": [text for _, text in ticks]}
        case Scatter(x_title=title):
            axis |= {"title": {"text": title, "standoff": 8}, "zeroline": True, "zerolinecolor": GRID}
            axis["range"] = [_round(end) for end in x_range(panel)]
        case Absent():
            axis |= {"showticklabels": False, "showline": False}
    return axis


def _y_axis(row: PanelRow, panel: Panel, place: _Place) -> dict[str, Any]:
    first = place.number == place.row_first
    axis: dict[str, Any] = {
        "domain": list(place.y),
        "anchor": f"x{place.suffix}",
        "gridcolor": GRID,
        "zeroline": False,
        "showticklabels": first,
        "type": "log" if row.log else "linear",
    }
    if isinstance(panel, Absent) and row.absent is not None:
        return {**axis, "showticklabels": False, "showgrid": False}
    if first:
        axis["title"] = {"text": row.y_title, "standoff": 6}
    else:
        axis["matches"] = "y" if place.row_first == 1 else f"y{place.row_first}"
    tops = [shown.top for shown in row.panels if isinstance(shown, Stacks) and shown.top is not None]
    if tops and not row.log:
        axis["range"] = [0, max(tops)]
    return axis


def _band(panel: Panel, place: _Place) -> list[dict[str, Any]]:
    if not isinstance(panel, Dots) or panel.band is None:
        return []
    mean, sd = panel.band.mean, panel.band.sd
    across = {"xref": f"x{place.suffix} domain", "yref": f"y{place.suffix}", "x0": 0, "x1": 1, "layer": "below"}
    line = {"type": "line", "y0": mean, "y1": mean, "line": {"color": BAND_MEAN, "width": 1}, **across}
    if sd is None:
        return [line]
    return [{"type": "rect", "y0": mean - sd, "y1": mean + sd, "fillcolor": BAND, "line": {"width": 0}, **across}, line]


def _text(text: str, place: _Place, colour: str) -> dict[str, Any]:
    return {
        "text": _escaped(text),
        "xref": "paper",
        "yref": "paper",
        "x": sum(place.x) / 2,
        "y": sum(place.y) / 2,
        "showarrow": False,
        "font": {"color": colour},
    }


def _traces(panel: Panel, looks: dict[str, Look]) -> Iterator[Trace]:
    match panel:
        case Dots(marks=marks, paper=paper):
            for mark in marks:
                yield from _dot(mark, looks[mark.setup])
            yield from _paper(paper)
        case Stacks(bars=bars, paper=paper):
            for bar in bars:
                yield from _stack(bar, looks[bar.setup])
            yield from _paper(paper)
        case Lines(lines=lines):
            for line in lines:
                yield _line(line, looks[line.setup])
        case Scatter():
            yield from _scatter(panel, looks)


def _line(line: Line, look: Look) -> Trace:
    return {
        **_named(line.setup),
        "x": [_round(x) for x in line.x],
        "y": [_round(y) for y in line.y],
        "mode": "lines",
        "line": {"color": look.colour, "dash": look.dash, "width": 2},
        "hovertemplate": f"%{{y}}<extra>{_escaped(line.label)}</extra>",
    }


def _scatter(panel: Scatter, looks: dict[str, Look]) -> Iterator[Trace]:
    if len(panel.front) > 1:
        x, y = zip(*panel.front, strict=True)
        style = {"color": QUIET, "dash": "dash", "width": 1.2}
        front = {**_named("Pareto front"), "mode": "lines", "line": style, "hoverinfo": "skip"}
        yield {**front, "x": [_round(value) for value in x], "y": [_round(value) for value in y]}
    for mark in panel.marks:
        place = {"x": [_round(mark.x or 0.0)], "error_x": _error(mark.x, mark.x_spread)}
        yield {**_point(mark, looks[mark.setup]), **place}


def _dot(mark: Mark, look: Look) -> Iterator[Trace]:
    yield {**_point(mark, look), "x": [_escaped(mark.label)]}
    if len(mark.trials) > 1:
        yield {
            **_named(mark.setup),
            "x": [_escaped(mark.label)] * len(mark.trials),
            "y": [_round(value) for value in mark.trials],
            "mode": "markers",
            "marker": {"color": look.colour, "size": 5, "opacity": 0.55},
            "hovertemplate": "%{y}<extra>trial</extra>",
        }


def _point(mark: Mark, look: Look) -> Trace:
    hover = f"<br>{_escaped(mark.hover)}" if mark.hover else ""
    marker = {"color": look.colour, "symbol": look.symbol, "size": 10, "line": {"color": INK, "width": 1}}
    return {
        **_named(mark.setup),
        "y": [_round(mark.y)],
        "error_y": _error(mark.y, mark.spread),
        "mode": "markers",
        "marker": marker,
        "hovertemplate": f"%{{y}}{hover}<extra>{_escaped(mark.label)}</extra>",
    }


def _error(value: float | None, spread: tuple[float, float] | None) -> dict[str, Any]:
    if value is None or spread is None:
        return {"visible": False}
    up, down = _round(spread[1] - value), _round(value - spread[0])
    return {"type": "data", "array": [up], "arrayminus": [down], "color": INK, "thickness": 1.2, "width": 4}


def _stack(bar: Stack, look: Look) -> Iterator[Trace]:
    for number, part in enumerate(bar.parts):
        colour = LOST if part.is_rest else look.colour
        yield {
            **_named(bar.setup),
            "type": "bar",
            "x": [_escaped(bar.label)],
            "y": [_round(part.value)],
            "marker": {"color": colour, "opacity": 1.0 if part.is_rest else max(0.35, 1 - 0.4 * number)},
            "hovertemplate": f"{part.name}: %{{y}}<br>{_escaped(bar.hover)}<extra>{_escaped(bar.label)}</extra>",
        }


def _paper(values: Sequence[tuple[str, float]]) -> Iterator[Trace]:
    if values:
        x, y = zip(*values, strict=True)
        marker = {"symbol": "diamond-tall-open", "size": 11, "color": INK, "line": {"width": 1.4}}
        shown = {"x": [*map(_escaped, x)], "y": [_round(value) for value in y], "mode": "markers", "marker": marker}
        yield {**_named("the paper"), **shown, "cliponaxis": False}


def _named(group: str) -> Trace:
    return {"type": "scatter", "legendgroup": _escaped(group)}


def _escaped(text: str) -> str:
    """Plotly takes a few HTML tags in its texts: none of ours are meant as one."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _round(value: float) -> float:
    """Six figures: more nobody can see, and each is a byte of the page."""
    return float(f"{value:.6g}")
