# SPDX-License-Identifier: Apache-2.0
"""Charts drawn by matplotlib, for print: in one column of a paper, or across both.

Without pyplot and its global state: a figure is a value here, and no display is looked for.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from bpfbench.report.chart import Bar, Chart, Mark, Pair, Panel, PanelRow
from bpfbench.report.figures.palette import BAND, BAND_MEAN, DASHES, INK, LOST, QUIET, Look

MM = 1 / 25.4
"""Of an inch, matplotlib's unit."""

COLUMN_MM = 85.0
"""One column of a two-column paper (ACM's is 84.7 mm)."""
BOTH_MM = 178.0
"""Both, for a figure of more than MANY columns of its own."""
MANY = 4

ROW_MM = 25.0
LINE_MM = 4.0
"""Of text, below the panels."""
TITLE_LETTERS = 17
"""Of a line of an axis' title, beside panels as high as these."""
LETTER_MM = 1.5
"""What a letter of a label takes along its line at 7 points."""

STYLE = matplotlib.rc_params_from_file(Path(__file__).with_name("print.mplstyle"), use_default_template=False)
EDGE: dict[str, Any] = {"mec": INK, "mew": 0.5, "ls": "", "clip_on": False, "zorder": 4}
"""Of a mark, which is whole where its axis ends, too."""

FORMATS = ("svg", "pdf", "png")
PNG_DPI = 300.0


def draw(chart: Chart, looks: dict[str, Look], formats: Sequence[str] = FORMATS) -> dict[str, bytes]:
    """Draw a chart, by format; the same one gives the same bytes.

    Args:
        chart: not empty.
        looks: of every setup it shows.
        formats: of svg, pdf and png.
    """
    with matplotlib.rc_context(STYLE):
        figure = _figure(chart, looks)
        return {form: _saved(figure, form) for form in formats}


def _saved(figure: Figure, form: str) -> bytes:
    out = io.BytesIO()
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": None}
    figure.savefig(out, format=form, dpi=PNG_DPI, metadata=undated[form])
    # The layout is worked out once, for the first format.
    figure.set_layout_engine("none")
    return out.getvalue()


def _figure(chart: Chart, looks: dict[str, Look]) -> Figure:
    figure, rows = Figure(), chart.drawn
    grid = figure.subplots(len(rows), len(chart.columns), sharey="row", squeeze=False)
    for number, row in enumerate(rows):
        for column, panel in enumerate(row.panels):
            axes = grid[number, column]
            _panel(axes, panel, looks)
            _x_axis(axes, panel, titled=chart.says_its_x(number, column))
        _y_axis(grid[number, 0], row)
    for axes, title in zip(grid[0], chart.columns, strict=True):
        axes.set_title(title)
    missing = [line for text in chart.missing for line in textwrap.wrap(text, 62)]
    if (legend := _legend(figure, rows)) or missing:
        style: dict[str, Any] = {"title": "\n".join(missing), "ncols": 3, "handlelength": 1.8, "columnspacing": 1.0}
        shown = figure.legend(legend.values(), legend, loc="outside lower center", title_fontsize=7.0, **style)
        shown.get_title().set_color(QUIET)
    labelled = max(1, sum(map(chart.labelled, range(len(rows)))))
    below_mm = labelled * chart.longest_label * LETTER_MM + LINE_MM * (len(missing) + -(-len(legend) // 3)) + 6
    width_mm = BOTH_MM if len(chart.columns) > MANY else COLUMN_MM
    figure.set_size_inches(width_mm * MM, (len(rows) * ROW_MM + below_mm) * MM)
    return figure


def _panel(axes: Axes, panel: Panel, looks: dict[str, Look]) -> None:
    if panel.absent is not None:
        reason = textwrap.fill(panel.absent, 18, max_lines=4, placeholder=" …")
        axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", color=QUIET)
        axes.grid(visible=False)
    if panel.band is not None:
        if panel.band.spread is not None:
            axes.axhspan(*panel.band.spread, color=BAND, lw=0, zorder=0.5)
        axes.axhline(panel.band.y, color=BAND_MEAN, lw=0.6, zorder=0.6)
    for x, mark in panel.placed():
        _mark(axes, x, mark, looks[mark.setup], named=mark.named and not panel.labels)
    for at, bar in enumerate(panel.bars):
        _bar(axes, at, bar, looks[bar.setup])
    for place, _ in panel.breaks:
        axes.axvline(place, color=BAND_MEAN, ls=":", lw=0.6, zorder=0.6)
    for line in panel.lines:
        look = looks[line.setup]
        axes.plot(*zip(*line.points, strict=True), color=look.colour, ls=DASHES[look.dash], lw=1.1, label=line.label)
    if panel.better:
        axes.text(0.03, 0.97, "\N{NORTH WEST ARROW} better", transform=axes.transAxes, va="top", color=QUIET)
    if panel.paper:
        axes.plot(*zip(*((x - 0.3, y) for x, y in panel.paper), strict=True), marker="d", ms=3.6, mfc="white", **EDGE)


def _mark(axes: Axes, x: float, mark: Mark, look: Look, *, named: bool) -> None:
    """Draw a mark with its bars, and its trials beside it; `named`: it is to be in the legend."""
    if len(mark.trials) > 1:
        axes.plot([x + 0.3] * len(mark.trials), mark.trials, ".", ms=2.4, mew=0, color=look.colour, alpha=0.8)
    if mark.spread or mark.x_spread:
        reach = _reach(mark.y, mark.spread), _reach(x, mark.x_spread)
        axes.errorbar(x, mark.y, *reach, fmt="none", ecolor=look.colour, elinewidth=0.9)
    label = mark.label if named else None
    colours = {"mfc": look.colour if mark.told else "white", **EDGE, "mec": INK if mark.told else look.colour}
    axes.plot(x, mark.y, marker=look.marker, ms=4.0, label=label, **colours)


def _reach(value: float, ends: Pair | None) -> list[list[float]] | None:
    """How far an error bar reaches down and up."""
    return None if ends is None else [[value - ends[0]], [ends[1] - value]]


def _bar(axes: Axes, at: float, bar: Bar, look: Look) -> None:
    bottom = 0.0
    for number, part in enumerate(bar.parts):
        colour, alpha, hatch = (
            (LOST, 1.0, "") if part.is_rest else (look.colour, max(0.35, 1 - 0.4 * number), look.hatch)
        )
        style: dict[str, Any] = {"color": colour, "alpha": alpha, "hatch": hatch, "edgecolor": INK, "linewidth": 0.4}
        axes.bar(at, part.value, bottom=bottom, width=0.72, **style)
        bottom += part.value
    if bar.text:
        # At the top of what it says, or above it where that is too low.
        inside = bar.parts[0].value > 0.4 * bottom
        axes.annotate(
            bar.text,
            (at, bar.parts[0].value),
            xytext=(0, -3 if inside else 3),
            textcoords="offset points",
            rotation=90,
            ha="center",
            va="top" if inside else "bottom",
            bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.9} if inside else None,
        )


def _x_axis(axes: Axes, panel: Panel, *, titled: bool) -> None:
    """Its ticks and titles; those that the panel below has too are left to it."""
    if panel.absent is not None:
        axes.xaxis.set_major_locator(NullLocator())
        return
    axes.set_xlim(panel.x_range)
    if panel.ticks:
        axes.set_xticks(*zip(*panel.ticks, strict=True), rotation=90)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(axis="x", labelbottom=titled, **({"length": 0} if panel.labels else {}))
    axes.set_xlabel(panel.x_title if titled else "")


def _y_axis(axes: Axes, row: PanelRow) -> None:
    axes.set_ylabel(textwrap.fill(row.y_title, TITLE_LETTERS))
    if row.y_range is not None:
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_ylim(row.y_range)
    else:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _legend(figure: Figure, rows: Sequence[PanelRow]) -> dict[str, Any]:
    """What the x axis does not say: which line or mark is whose; parts of bars in greys, as setups have the colours."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        handles, names = axes.get_legend_handles_labels()
        found |= dict(zip(names, handles, strict=True))
    for parts in (bar.parts for row in rows for panel in row.panels for bar in panel.bars[:1]):
        for part, grey in zip(parts, ("#57606a", "#9aa2ab", "#c4cad0"), strict=False):
            found[part.name] = Patch(fc=LOST if part.is_rest else grey, ec=INK, lw=0.4)
    return found
