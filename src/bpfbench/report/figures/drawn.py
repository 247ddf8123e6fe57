# SPDX-License-Identifier: Apache-2.0
"""Charts drawn by matplotlib: for print in one column of a paper, and for the page without JavaScript.

Without pyplot and its global state: a figure is a value here, and no display is looked for.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from bpfbench.report.chart import (
    Absent,
    Band,
    Chart,
    Dots,
    Lines,
    Mark,
    Panel,
    PanelRow,
    Part,
    Scatter,
    Stacks,
    labels,
    says_its_x,
    x_range,
)
from bpfbench.report.figures.palette import BAND, BAND_MEAN, DASHES, GRID, INK, LOST, QUIET, Look
from bpfbench.report.numbers import share

MM = 1 / 25.4
"""Of an inch, matplotlib's unit."""

COLUMN_MM = 85.0
"""One column of a two-column paper (ACM's is 84.7 mm)."""

ROW_MM = 25.0
ABSENT_ROW_MM = 6.0
LETTER_MM = 1.5
"""What a letter of a label takes along its line at 7 points."""

STYLE: Any = {  # typed by matplotlib as a Literal of all its keys
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial", "sans-serif"],
    "font.size": 7.0,
    "axes.labelsize": 7.0,
    "axes.titlesize": 7.5,
    "axes.titleweight": "bold",
    "axes.titlepad": 4.0,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "grid.linewidth": 0.4,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.major.size": 1.5,
    "ytick.major.size": 1.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 1.5,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "hatch.linewidth": 0.35,
    "lines.linewidth": 1.0,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 1.2 * MM,
    "figure.constrained_layout.w_pad": 0.6 * MM,
    "figure.constrained_layout.hspace": 0.0,
    "figure.constrained_layout.wspace": 0.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "bpfbench",
    "pdf.fonttype": 42,
    "path.simplify": True,
    "path.simplify_threshold": 0.4,
}

FORMATS = ("svg", "pdf", "png")
PNG_DPI = 300.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawn chart."""

    files: dict[str, bytes]
    """By format. The same chart gives the same bytes."""
    width_mm: float
    height_mm: float


def draw(chart: Chart, looks: dict[str, Look], formats: Sequence[str] = FORMATS) -> Drawing:
    """Draw a chart.

    Args:
        chart: not empty.
        looks: of every setup it shows.
        formats: of svg, pdf and png.
    """
    with matplotlib.rc_context(STYLE):
        figure = _figure(chart, looks)
        width, height = figure.get_size_inches()
        return Drawing({form: _saved(figure, form) for form in formats}, float(width / MM), float(height / MM))


def _saved(figure: Figure, form: str) -> bytes:
    out = io.BytesIO()
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": None}
    figure.savefig(out, format=form, dpi=PNG_DPI, metadata=undated[form])
    # The layout is worked out once, for the first format.
    figure.set_layout_engine("none")
    return out.getvalue()


def _figure(chart: Chart, looks: dict[str, Look]) -> Figure:
    longest = max((len(label) for panel in chart.panels() for label in labels(panel)), default=4)
    legend = _legend(chart, looks)
    heights = [ABSENT_ROW_MM if row.absent is not None else ROW_MM for row in chart.rows]
    labelled = sum(
        any(says_its_x(chart, n, c) and labels(p) for c, p in enumerate(r.panels)) for n, r in enumerate(chart.rows)
    )
    height_mm = sum(heights) + max(1, labelled) * longest * LETTER_MM + 6 + 4.0 * -(-len(legend) // 3)
    figure = Figure(figsize=(COLUMN_MM * MM, height_mm * MM))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(chart.rows), len(chart.columns), height_ratios=heights)
    for number, row in enumerate(chart.rows):
        if row.absent is not None:
            _say(figure.add_subplot(grid[number, :]), f"{row.title}: {row.absent}", width=62)
            continue
        first: Axes | None = None
        for position, panel in enumerate(row.panels):
            axes = figure.add_subplot(grid[number, position], sharey=first)
            _panel(axes, panel, looks)
            _x_axis(axes, panel, titled=says_its_x(chart, number, position))
            if first is None:
                first = axes
                axes.set_ylabel(row.y_title)
            else:
                axes.tick_params(labelleft=False)
        _limits(first, row)
    _headings(figure, chart)
    if legend:
        figure.legend(handles=legend, loc="outside lower center", ncols=3, handlelength=1.8, columnspacing=1.0)
    return figure


def _headings(figure: Figure, chart: Chart) -> None:
    """Put the tools above the first row that has panels of its own."""
    top = [axes for axes in figure.axes if axes.axison][: len(chart.columns)]
    for axes, title in zip(top, chart.columns, strict=False):
        axes.set_title(title)


def _panel(axes: Axes, panel: Panel, looks: dict[str, Look]) -> None:
    match panel:
        case Dots():
            _dots(axes, panel, looks)
        case Stacks():
            _stacks(axes, panel, looks)
        case Lines():
            _lines(axes, panel, looks)
        case Scatter():
            _scatter(axes, panel, looks)
        case Absent(reason=reason):
            _say(axes, reason, width=18)


def _say(axes: Axes, reason: str, width: int) -> None:
    axes.grid(visible=False)
    axes.text(
        0.5,
        0.5,
        textwrap.fill(reason, width, max_lines=4, placeholder=" …"),
        transform=axes.transAxes,
        ha="center",
        va="center",
        color=QUIET,
    )
    if width > 30:
        axes.set_axis_off()
    axes.xaxis.set_major_locator(NullLocator())


def _x_axis(axes: Axes, panel: Panel, *, titled: bool) -> None:
    """Its ticks and titles; those that the panel below has too are left to it."""
    match panel:
        case Dots() | Stacks():
            names = labels(panel)
            axes.set_xlim(-0.6, len(names) - 0.4)
            _ticks(axes, [(float(position), name) for position, name in enumerate(names)])
            axes.tick_params(axis="x", length=0)
        case Lines(ticks=ticks) if ticks:
            _ticks(axes, ticks)
        case Lines() | Scatter():
            axes.xaxis.set_major_locator(MaxNLocator(3))
    if isinstance(panel, Lines | Scatter) and titled:
        axes.set_xlabel(panel.x_title)
    axes.tick_params(axis="x", labelbottom=titled)


def _ticks(axes: Axes, ticks: Sequence[tuple[float, str]]) -> None:
    axes.xaxis.set_major_locator(FixedLocator([place for place, _ in ticks]))
    axes.xaxis.set_major_formatter(FixedFormatter([text for _, text in ticks]))
    axes.tick_params(axis="x", labelrotation=90)


def _dots(axes: Axes, panel: Dots, looks: dict[str, Look]) -> None:
    _band(axes, panel.band)
    for position, mark in enumerate(panel.marks):
        look = looks[mark.setup]
        if len(mark.trials) > 1:
            axes.plot(
                [position + 0.3] * len(mark.trials), mark.trials, ".", ms=2.4, mew=0, color=look.colour, alpha=0.8
            )
        _mark(axes, mark, float(position), look)
    names = labels(panel)
    for label, value in panel.paper:
        axes.plot(names.index(label) - 0.32, value, "d", ms=3.6, mfc="none", mec=INK, mew=0.6, clip_on=False)


def _band(axes: Axes, band: Band | None) -> None:
    if band is None:
        return
    if band.sd is not None:
        axes.axhspan(band.mean - band.sd, band.mean + band.sd, color=BAND, lw=0, zorder=0.5)
    axes.axhline(band.mean, color=BAND_MEAN, lw=0.6, zorder=0.6)


def _mark(axes: Axes, mark: Mark, x: float, look: Look) -> None:
    style: dict[str, Any] = {"ecolor": INK, "elinewidth": 0.7, "capsize": 1.4, "capthick": 0.7}
    y_error = None if mark.spread is None else [[mark.y - mark.spread[0]], [mark.spread[1] - mark.y]]
    x_error = None if mark.x_spread is None else [[x - mark.x_spread[0]], [mark.x_spread[1] - x]]
    axes.errorbar(
        x,
        mark.y,
        yerr=y_error,
        xerr=x_error,
        fmt=look.marker,
        ms=4.0,
        mfc=look.colour,
        mec=INK,
        mew=0.5,
        **style,
    )


def _stacks(axes: Axes, panel: Stacks, looks: dict[str, Look]) -> None:
    for position, bar in enumerate(panel.bars):
        look, bottom = looks[bar.setup], 0.0
        for number, part in enumerate(bar.parts):
            axes.bar(
                position,
                part.value,
                bottom=bottom,
                width=0.72,
                color=LOST if part.is_rest else look.colour,
                alpha=1.0 if part.is_rest else max(0.35, 1.0 - 0.4 * number),
                hatch="" if part.is_rest else look.hatch,
                edgecolor=INK,
                linewidth=0.4,
            )
            bottom += part.value
        if panel.top is not None:
            _value(axes, position, bar.parts[0].value, panel.top)
    names = labels(panel)
    for label, value in panel.paper:
        axes.plot(names.index(label) - 0.24, value, "d", ms=3.6, mfc="white", mec=INK, mew=0.6, clip_on=False, zorder=5)


def _value(axes: Axes, position: float, value: float, top: float) -> None:
    """Write a share into its bar: at the top of what it says, or above it where that is too low."""
    inside = value > 0.4 * top
    paper = {"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.9}
    axes.annotate(
        f"{value:.1f}" if 1 <= value < 99.95 else share(value).removesuffix(".00"),
        (position, value),
        xytext=(0, -3 if inside else 3),
        textcoords="offset points",
        rotation=90,
        ha="center",
        va="top" if inside else "bottom",
        bbox=paper if inside else None,
    )


def _lines(axes: Axes, panel: Lines, looks: dict[str, Look]) -> None:
    for line in panel.lines:
        look = looks[line.setup]
        axes.plot(line.x, line.y, color=look.colour, ls=DASHES[look.dash], lw=1.1, label=line.label)


def _scatter(axes: Axes, panel: Scatter, looks: dict[str, Look]) -> None:
    if len(panel.front) > 1:
        axes.plot(*zip(*panel.front, strict=True), color=QUIET, lw=0.8, ls=DASHES["dash"], zorder=1)
    for mark in panel.marks:
        _mark(axes, mark, mark.x or 0.0, looks[mark.setup])
    axes.margins(y=0.12)
    axes.set_xlim(x_range(panel))


def _limits(axes: Axes | None, row: PanelRow) -> None:
    """The y axis of a row: from zero, unless that would press what differs into a corner."""
    if axes is None:
        return
    if row.log:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        return
    axes.yaxis.set_major_locator(MaxNLocator(4))
    tops = [panel.top for panel in row.panels if isinstance(panel, Stacks) and panel.top is not None]
    if tops:
        axes.set_ylim(0, max(tops))
        return
    if any(isinstance(panel, Scatter) for panel in row.panels):
        return
    low, high = axes.get_ylim()
    if low > 0.5 * high:
        return
    axes.set_ylim(0 if low >= -0.1 * high else low, high)


def _legend(chart: Chart, looks: dict[str, Look]) -> list[Line2D | Patch]:
    """What the x axis does not say: which line or mark is whose."""
    found: dict[str, Line2D | Patch] = {}
    for panel in chart.panels():
        match panel:
            case Lines(lines=lines):
                for line in lines:
                    look = looks[line.setup]
                    found[line.label] = Line2D([], [], color=look.colour, ls=DASHES[look.dash], label=line.label)
            case Scatter(marks=marks):
                for mark in marks:
                    look = looks[mark.setup]
                    style: dict[str, Any] = {
                        "marker": look.marker,
                        "mfc": look.colour,
                        "mec": INK,
                        "mew": 0.5,
                        "ms": 4.0,
                    }
                    found[mark.label] = Line2D([], [], ls="", label=mark.label, **style)
            case Stacks(bars=bars):
                found |= _parts(bars[0].parts if bars else ())
    return list(found.values())


def _parts(parts: Sequence[Part]) -> dict[str, Line2D | Patch]:
    """The parts of stacked bars, in greys, as each setup has its own colour."""
    shades = ("#57606a", "#9aa2ab", "#c4cad0")
    return {
        part.name: Patch(fc=LOST if part.is_rest else shades[number % 3], ec=INK, lw=0.4, label=part.name)
        for number, part in enumerate(parts)
    }
