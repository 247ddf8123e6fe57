# SPDX-License-Identifier: Apache-2.0
"""Charts for the screen, as HTML: each panel is a small SVG of its own.

Panels stand beside each other as far as there is room, so that text is as large on a phone as on a desktop. Setups
stand below each other, with labels that are read without turning one's head. What is shown has a `title`, which every
browser shows to who points at it, and says whose it is in `data-setup`; page.js filters by that, and closes the
gaps. Ink and grid have the page's colours, by class.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from bpfbench.report.chart import Bar, Chart, Line, Mark, Pair, Panel, PanelRow
from bpfbench.report.figures.palette import DASHES, Look

WIDTH, HEIGHT = 350.0, 210.0
"""Of a panel, in CSS pixels, as everything here; one over categories is as high as they need."""
SMALL_WIDTH, SMALL_HEIGHT = 172.0, 118.0
"""Of one of many."""
MANY = 4
"""Columns from which on panels are small."""
LETTER = 7.0
"""What a letter takes, at most, at the size of labels."""
LINE = 21.0
"""From one category to the next."""
DASHED = 'stroke-dasharray="3 3"'
"""Of what is no value."""
LONGEST = 22
"""Letters of a label in one line; what is longer has its details in a second."""

_SHAPES: dict[str, tuple[int, float, float | None]] = {
    "s": (4, 45, None),
    "D": (4, 0, None),
    "^": (3, -90, None),
    "v": (3, 90, None),
    "<": (3, 180, None),
    ">": (3, 0, None),
    "p": (5, -90, None),
    "h": (6, -90, None),
    "H": (6, 0, None),
    "8": (8, 22.5, None),
    "P": (4, 0, 0.45),
    "X": (4, 45, 0.45),
    "*": (5, -90, 0.4),
    "d": (2, 90, 0.5),
    "1": (3, 90, 0.3),
    "2": (3, -90, 0.3),
    "+": (4, 0, 0.25),
}
"""By marker: corners, the direction of the first in degrees, and how far in the sides are drawn between two."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to pixels."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        at = math.log10(value) if self.log else value
        return self.begin + (at - low) / (high - low) * (self.end - self.begin)

    def inside(self, value: float) -> float:
        """Place a value; one that is not shown, at the end it is beyond."""
        return self(min(max(value, self.low), self.high))

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Return round values, as many as have room, with what they say."""
        if self.log:
            tens = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            if len(tens) > 1:
                return [(10.0**ten, f"{10.0**ten:,g}") for ten in tens]
        least = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(least))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(number * step, _minus(f"{number * step + 0.0:,.10g}")) for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What all panels of a row are drawn with."""

    row: PanelRow
    of: str
    looks: dict[str, Look]
    values: Pair
    times: Pair
    """What an x axis that is a scale shows, where it is the same for all."""
    gutter: float
    """Left of what is drawn, for labels."""
    width: float
    height: float


def html(chart: Chart, of: str, looks: dict[str, Look]) -> str:
    """Draw a chart.

    Args:
        chart: not empty.
        of: the case it is of, but for the tool.
        looks: of every setup it shows.
    """
    parts = [*_legend(chart, looks)]
    folded = [row for row in chart.drawn if row.folded]
    for row in chart.drawn:
        if not row.folded:
            parts += _row(chart, row, of, looks)
    if folded:
        titles = ", ".join(row.title for row in folded)
        parts.append(f"<details><summary>The same in other units: {escape(titles)}</summary>")
        for row in folded:
            parts += _row(chart, row, of, looks)
        parts.append("</details>")
    parts += [f'<p class="note">{escape(text)}</p>' for text in chart.missing]
    return "\n".join(parts)


def _legend(chart: Chart, looks: dict[str, Look]) -> Iterator[str]:
    """Say whose lines are whose, where several share a panel, and what the parts of bars are."""
    panels = [panel for row in chart.drawn for panel in row.panels]
    lines = {line.label: line for panel in panels for line in panel.lines if line.label not in chart.columns}
    parts = {part.name: part for panel in panels for bar in panel.bars for part in bar.parts}
    keys = [
        f'<span data-setup="{escape(line.setup)}"><svg width="30" height="10" aria-hidden="true">'
        f'<path d="M1 5H29" {_stroke(looks[line.setup])}/></svg>{escape(label)}</span>'
        for label, line in lines.items()
    ]
    names = list(parts)
    keys += [
        f'<span><svg width="14" height="10" aria-hidden="true"><rect width="14" height="10" class="key-{at}'
        f'{" rest" if parts[name].is_rest else ""}"/></svg>{escape(name)}</span>'
        for at, name in enumerate(names)
    ]
    if keys:
        yield f'<p class="key">{"".join(keys)}</p>'


def _row(chart: Chart, row: PanelRow, of: str, looks: dict[str, Look]) -> Iterator[str]:
    small = len(chart.columns) > MANY
    labels = [label for panel in row.panels for label in panel.labels]
    gutter = max((len(line) for label in labels for line in _split(label)), default=0) * LETTER + 8 if labels else 48.0
    times = [panel.x_range for panel in row.panels if panel.lines] or [(0.0, 1.0)]
    drawn = _Drawn(
        row=row,
        of=of,
        looks=looks,
        times=(min(low for low, _ in times), max(high for _, high in times)),
        values=row.y_range or _positive([y for panel in row.panels for y in panel.heights()]),
        gutter=gutter,
        width=SMALL_WIDTH if small else WIDTH,
        height=SMALL_HEIGHT if small else HEIGHT,
    )
    yield f'<div class="panels{" small" if small else ""}">'
    for column, panel in zip(chart.columns, row.panels, strict=True):
        case = f"{of}, {chart.tool or column}"
        whose = f'data-setup="{escape(panel.lines[-1].setup)}"' if chart.tool and panel.lines else ""
        whose = whose or f'data-tool="{escape(chart.tool or column)}"'
        yield f'<div class="panel" {whose}><p><b>{escape(column)}</b> {escape(row.y_title)}</p>'
        if panel.absent is not None:
            yield f'<p class="absent">{escape(panel.absent)}</p></div>'
            continue
        alt = escape(f"{row.y_title} for {case}: {column}; the numbers are in the tables")
        content, height = (_over_scale if panel.x_title else _over_labels)(drawn, panel, case)
        lane = "" if panel.x_title else f' data-lane="{_lane(panel):g}"'
        size = f'viewBox="0 0 {drawn.width:g} {height:g}"'
        yield f'<svg {size}{lane} role="img" aria-label="{alt}">{content}</svg></div>'
    yield "</div>"


def _positive(values: Iterable[float]) -> Pair:
    """The range of a logarithmic axis."""
    known = [value for value in values if value > 0] or [1.0]
    return min(known) / 1.15, max(known) * 1.15


def _split(label: str) -> tuple[str, ...]:
    """A label in a line or two."""
    name, bracket, details = label.partition(" (")
    return (label,) if len(label) <= LONGEST or not bracket else (name, details.removesuffix(")"))


def _lane(panel: Panel) -> float:
    """From one category of a panel to the next."""
    return LINE * (1.35 if any(len(_split(label)) > 1 for label in panel.labels) else 1.0)


def _over_labels(drawn: _Drawn, panel: Panel, case: str) -> tuple[str, float]:
    """Draw marks or bars, a line each: along x is what the row shows."""
    x, lane = _Scale(*drawn.values, drawn.gutter, drawn.width - 14), _lane(panel)
    bottom, ticks = 4 + lane * len(panel.labels), x.ticks(4)
    behind, paper = _x_grid(x, ticks, 2, bottom), dict(panel.paper)
    if panel.band is not None:
        if panel.band.spread is not None:
            low, high = map(x.inside, panel.band.spread)
            behind += f'<rect class="band" x="{low:.1f}" y="2" width="{high - low:.1f}" height="{bottom - 2:.1f}"/>'
        behind += f'<path class="mean" d="M{x(panel.band.y):.1f} 2V{bottom:.1f}"/>'
    found = [f'<g class="behind">{behind}</g>']
    for at, label in enumerate(panel.labels):
        y = 4 + lane * (at + 0.5)
        item = panel.marks[at] if panel.marks else panel.bars[at]
        name = _label(label, drawn.gutter - 6, y)
        shown = _mark(drawn, item, x, y, case) if isinstance(item, Mark) else _bar(drawn, item, x, y, case)
        if at in paper:
            title = f"<title>{escape(_lines('the paper', _value(drawn.row, paper[at])))}</title>"
            shown += f'<g class="paper">{title}<path d="{_shape("d", x.inside(paper[at]), y - 7, 5)}"/></g>'
        found.append(f'<g class="lane" data-setup="{escape(item.setup)}">{name}{shown}</g>')
    found.append(f'<g class="below">{_x_axis(x, ticks, bottom)}</g>')
    return "".join(found), bottom + 20


def _label(label: str, x: float, y: float) -> str:
    first, *more = _split(label)
    if not more:
        return f'<text class="name" x="{x:.1f}" y="{y + 4:.1f}">{escape(first)}</text>'
    detail = f'<tspan class="quiet" x="{x:.1f}" dy="12">{escape(more[0])}</tspan>'
    return f'<text class="name" x="{x:.1f}" y="{y - 2:.1f}">{escape(first)}{detail}</text>'


def _mark(drawn: _Drawn, mark: Mark, x: _Scale, y: float, case: str) -> str:
    look = drawn.looks[mark.setup]
    dots = "".join(f"M{x.inside(value):.1f} {y + 6:.1f}h0" for value in mark.trials) if len(mark.trials) > 1 else ""
    found = f'<path class="dots" stroke="{look.colour}" d="{dots}"/>' if dots else ""
    if mark.spread is not None:
        found += _whisker([(x.inside(end), y) for end in mark.spread], look)
    text = _lines(mark.label, _value(drawn.row, mark.y), _ends(mark.spread, drawn.row), mark.hover, case)
    return f"<title>{escape(text)}</title>{found}{_symbol(mark, look, x.inside(mark.y), y)}"


def _symbol(mark: Mark, look: Look, x: float, y: float) -> str:
    """A mark; one without a name beside it is one of many."""
    shape = _shape(look.marker, x, y, 5 if mark.named else 3)
    return f'<path class="mark{"" if mark.told else " open"}" color="{look.colour}" d="{shape}"/>'


def _whisker(ends: Sequence[Pair], look: Look) -> str:
    """An error bar, in the colour of its setup."""
    (x0, y0), (x1, y1) = ends
    return f'<path class="whisker" stroke="{look.colour}" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>'


def _shape(marker: str, x: float, y: float, size: float) -> str:
    if marker not in _SHAPES:
        return f"M{x - size:.1f} {y:.1f}a{size} {size} 0 1 0 {2 * size} 0a{size} {size} 0 1 0 {-2 * size} 0z"
    corners, turn, inner = _SHAPES[marker]
    steps = corners if inner is None else 2 * corners
    reach = [1.25 if inner is None or step % 2 == 0 else 1.25 * inner for step in range(steps)]
    angles = [math.radians(turn + 360 * step / steps) for step in range(steps)]
    points = zip(reach, angles, strict=True)
    return f"M{'L'.join(f'{x + r * size * math.cos(a):.1f} {y + r * size * math.sin(a):.1f}' for r, a in points)}z"


def _bar(drawn: _Drawn, bar: Bar, x: _Scale, y: float, case: str) -> str:
    look, begin, found = drawn.looks[bar.setup], 0.0, ""
    values = "\n".join(f"{part.name} {_number(part.value)} {drawn.row.unit}" for part in bar.parts)
    for number, part in enumerate(bar.parts):
        left, right = x.inside(begin), x.inside(begin + part.value)
        fill = (
            'class="rest"' if part.is_rest else f'fill="{look.colour}" fill-opacity="{max(0.35, 1 - 0.4 * number):g}"'
        )
        found += f'<rect x="{left:.1f}" y="{y - 7:.1f}" width="{max(0.0, right - left):.1f}" height="14" {fill}/>'
        begin += part.value
    if bar.text:
        end, room = x.inside(bar.parts[0].value) + 4, len(bar.text) * LETTER
        found += f'<text x="{min(end, x.end - room):.1f}" y="{y + 4:.1f}">{escape(bar.text)}</text>'
    return f"<title>{escape(_lines(bar.label, values, bar.hover, case))}</title>{found}"


def _over_scale(drawn: _Drawn, panel: Panel, case: str) -> tuple[str, float]:
    """Draw lines, or the marks of a scatter."""
    top, bottom = 20.0 if panel.better else 6.0, drawn.height - 36
    x = _Scale(*(drawn.times if panel.lines else panel.x_range), drawn.gutter, drawn.width - 14)
    y = _Scale(*drawn.values, bottom, top, log=drawn.row.log)
    places = list(panel.places) or x.ticks(4 if drawn.width == WIDTH else 3)
    found = [_y_ticks(y, drawn), _x_grid(x, places, bottom - 3 if panel.places else bottom, bottom)]
    found.append(_x_axis(x, places, bottom))
    found.append(f'<text class="axis" x="{x.end:.1f}" y="{bottom + 31:.1f}">{escape(panel.x_title)}</text>')
    if panel.better:
        arrow = f"M{x.begin + 12:.1f} 15L{x.begin + 3:.1f} 6m0 6v-6h6"
        found.append(f'<path class="arrow" d="{arrow}"/><text x="{x.begin + 17:.1f}" y="14">better</text>')
    found += [_break(x, at, what, bottom, top) for at, what in panel.breaks]
    found += [_line(drawn, line, x, y, case) for line in panel.lines]
    found += _scatter(drawn, panel, x, y, case)
    return "".join(found), drawn.height


def _break(x: _Scale, at: float, what: str, bottom: float, top: float) -> str:
    path = f'd="M{x.inside(at):.1f} {bottom:.1f}V{top:.1f}"'
    return f'<g><title>{escape(what)}</title><path class="near" {path}/><path class="mean" {DASHED} {path}/></g>'


def _line(drawn: _Drawn, line: Line, x: _Scale, y: _Scale, case: str) -> str:
    points = "L".join(f"{x.inside(a):.1f} {y.inside(b):.1f}" for a, b in line.points)
    own = (
        ""
        if not drawn.row.log
        else "\n".join(
            f"{name} %: {_number(b)} {drawn.row.unit}"
            for (_, b), (_, name) in zip(line.points, drawn.row.panels[0].places, strict=False)
        )
    )
    title = escape(_lines(line.label, own, line.hover, case))
    look = drawn.looks[line.setup]
    path = f'd="M{points}"'
    return (
        f'<g data-setup="{escape(line.setup)}"><title>{title}</title><path class="near" {path}/>'
        f"<path {path} {_stroke(look)}/></g>"
    )


def _scatter(drawn: _Drawn, panel: Panel, x: _Scale, y: _Scale, case: str) -> Iterator[str]:
    """Draw marks with their names beside them, where there is room."""
    taken = [
        (x.inside(at) - 6, y.inside(mark.y) - 6, x.inside(at) + 6, y.inside(mark.y) + 6) for at, mark in panel.placed()
    ]
    for at, mark in panel.placed():
        look, px, py = drawn.looks[mark.setup], x.inside(at), y.inside(mark.y)
        bars = ""
        if mark.x_spread is not None:
            bars += _whisker([(x.inside(end), py) for end in mark.x_spread], look)
        if mark.spread is not None:
            bars += _whisker([(px, y.inside(end)) for end in mark.spread], look)
        name = ""
        if mark.named:
            place = _free(mark.label, px, py, x, y, taken)
            taken.append(place)
            name = f'<text class="by" x="{place[0]:.1f}" y="{place[3] - 3:.1f}">{escape(mark.label)}</text>'
        over = f"{panel.x_title}: {dict(panel.places).get(at) or _number(at)}"
        if mark.x_spread is not None:
            over += f", 95 % interval {_from_to(mark.x_spread)}"
        saved = _lines(_value(drawn.row, mark.y), _ends(mark.spread, drawn.row))
        title = escape(_lines(mark.label, over, saved, mark.hover, case))
        shown = f"<title>{title}</title>{bars}{_symbol(mark, look, px, py)}{name}"
        yield f'<g data-setup="{escape(mark.setup)}">{shown}</g>'


Box = tuple[float, float, float, float]


def _free(label: str, px: float, py: float, x: _Scale, y: _Scale, taken: Sequence[Box]) -> Box:
    """Find where a mark's name covers the least of others."""
    wide, high = len(label) * LETTER, 13.0
    places = [
        (left, top, left + wide, top + high)
        for top in (py - 7, py - 20, py + 7, py - 33, py + 20, py - 46, py + 33)
        for left in (px + 8, px - 8 - wide, px - wide / 2)
        if (left != px - wide / 2 or abs(top + 7 - py) > 8)
    ]

    def covered(box: Box) -> float:
        over = sum(
            max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
            * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
            for other in taken
        )
        outside = max(0.0, x.begin - box[0]) + max(0.0, box[2] - x.end - 10)
        return over + 20 * (outside + max(0.0, y.end - 4 - box[1]) + max(0.0, box[3] - y.begin))

    return min(places, key=covered)


def _x_grid(x: _Scale, ticks: Sequence[tuple[float, str]], top: float, bottom: float) -> str:
    grid = "".join(f"M{x(value):.1f} {top:.1f}V{bottom:.1f}" for value, _ in ticks)
    return f'<path class="grid" d="{grid}"/>'


def _x_axis(x: _Scale, ticks: Sequence[tuple[float, str]], bottom: float) -> str:
    """Line and labels of an x axis: the first and the last stay within the panel, and none covers another."""
    found, free = "", -math.inf
    for value, text in ticks:
        half = len(text) * LETTER / 2
        middle = min(max(x(value), half), x.end + 14 - half)
        if middle - half >= free:
            found += f'<text class="tick" x="{middle:.1f}" y="{bottom + 15:.1f}">{escape(text)}</text>'
            free = middle + half + 4
    return f'{found}<path class="line" d="M{x.begin:.1f} {bottom:.1f}H{x.end:.1f}"/>'


def _y_ticks(y: _Scale, drawn: _Drawn) -> str:
    ticks = y.ticks(4 if drawn.height == HEIGHT else 2)
    grid = "".join(f"M{drawn.gutter:.1f} {y(value):.1f}H{drawn.width - 14:.1f}" for value, _ in ticks)
    names = "".join(
        f'<text class="name" x="{drawn.gutter - 5:.1f}" y="{y(value) + 4:.1f}">{text}</text>' for value, text in ticks
    )
    return f'<path class="grid" d="{grid}"/>{names}'


def _stroke(look: Look) -> str:
    dash = DASHES[look.dash]
    dashes = "" if isinstance(dash, str) else f' stroke-dasharray="{" ".join(f"{2 * part:g}" for part in dash[1])}"'
    return f'class="own" stroke="{look.colour}"{dashes}'


def _lines(*texts: str) -> str:
    return "\n".join(filter(None, texts))


def _value(row: PanelRow, value: float) -> str:
    return f"{row.title}: {_number(value)} {row.unit}".rstrip()


def _ends(spread: Pair | None, row: PanelRow) -> str:
    return "" if spread is None else f"{row.bars}: {_from_to(spread)} {row.unit}".rstrip()


def _from_to(ends: Pair) -> str:
    return f"{_number(ends[0])} to {_number(ends[1])}"


def _number(value: float) -> str:
    """As exact as anybody wants to know it."""
    if not math.isfinite(value) or abs(value) >= 1e6:
        return _minus(f"{'< -' if value < 0 else '> '}1,000,000")
    return _minus(f"{value:,.0f}" if abs(value) >= 1000 else f"{value + 0.0:.4g}")


def _minus(number: str) -> str:
    """A number with a minus as print has it."""
    return number.replace("-", "\N{MINUS SIGN}")
