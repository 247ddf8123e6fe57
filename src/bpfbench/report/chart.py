# SPDX-License-Identifier: Apache-2.0
"""What a figure shows, apart from how it is drawn: a grid of panels, one column per tool and one row per quantity.

Builders make charts out of records and statistics; drawn.py (for print, by matplotlib) and screen.py (for the page)
draw the same chart over the same ranges, so that print and screen cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

Pair = tuple[float, float]
"""The ends of a span, or a point: x and y."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One value: a setup in one configuration."""

    label: str
    setup: str
    """Whose look it has."""
    y: float
    spread: Pair | None = None
    """The ends of its error bar."""
    trials: tuple[float, ...] = ()
    """The single trials' values."""
    x: float | None = None
    """Of a scatter only; elsewhere it stands above its label."""
    x_spread: Pair | None = None
    """The same along x."""
    hover: str = ""
    """What else there is to say of it."""
    told: bool = True
    """Whether it is told apart from what it is compared with; who is not is drawn hollow."""
    named: bool = True
    """Of a scatter: whether its label stands beside it, or is for who points at it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a stacked bar."""

    name: str
    value: float
    is_rest: bool = False
    """Drawn in grey: not what the bar is about."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Parts stacked above a label."""

    label: str
    setup: str
    parts: tuple[Part, ...]
    text: str = ""
    """Stands in the bar: what its first part amounts to."""
    hover: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Values over something that is continuous."""

    label: str
    setup: str
    points: tuple[Pair, ...]
    hover: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """Marks, bars or lines over one x axis."""

    marks: tuple[Mark, ...] = ()
    bars: tuple[Bar, ...] = ()
    lines: tuple[Line, ...] = ()
    band: Mark | None = None
    """Whose value and spread lie behind all others: vanilla's."""
    paper: tuple[Pair, ...] = ()
    """What the paper prints, as points."""
    better: bool = False
    """Whether up and to the left is better, which an arrow says."""
    x_title: str = ""
    """Of an x axis that is a scale."""
    places: tuple[tuple[float, str], ...] = ()
    """Where a scale has its ticks, and what they say; empty: where it likes."""
    breaks: tuple[tuple[float, str], ...] = ()
    """Where on a scale something else changed, and what."""
    nothing: str = "no trial that counts"
    """Why there is nothing to draw, where there is nothing."""

    @property
    def absent(self) -> str | None:
        """Why there is nothing to draw; None where there is something."""
        return None if self.marks or self.bars or self.lines else self.nothing

    @property
    def labels(self) -> tuple[str, ...]:
        """The categories on the x axis; empty where it is a scale."""
        if self.x_title:
            return ()
        return (*(mark.label for mark in self.marks), *(bar.label for bar in self.bars))

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Where the x axis has its ticks, and what they say."""
        return self.places or tuple((float(at), label) for at, label in enumerate(self.labels))

    def placed(self) -> Iterator[tuple[float, Mark]]:
        """Yield its marks with their places on the x axis."""
        return ((float(at) if mark.x is None else mark.x, mark) for at, mark in enumerate(self.marks))

    @property
    def x_range(self) -> Pair:
        """The part of the x axis that is shown: all values. Bars of few repetitions may reach out of it by far."""
        if not self.x_title:
            return -0.6, len(self.labels) - 0.4
        places = [*(x for x, _ in self.placed()), *(x for line in self.lines for x, _ in line.points)]
        return _shown(places, (mark.x_spread for mark in self.marks))

    def heights(self) -> Iterator[float]:
        """Yield every y that must be seen."""
        for mark in self.marks:
            yield from (mark.y, *mark.trials)
        for bar in self.bars:
            yield from (0.0, sum(part.value for part in bar.parts))
        for points in (self.paper, *(line.points for line in self.lines)):
            yield from (y for _, y in points)


@dataclass(frozen=True, slots=True)
class PanelRow:
    """One quantity, for each tool."""

    title: str
    unit: str
    panels: tuple[Panel, ...]
    log: bool = False
    shown: Pair | None = None
    """The part of the y axis that is shown, if it is given by what that is: 0 to 100 for shares."""
    bars: str = "mean ± SD"
    """What the error bars of its marks are."""
    folded: bool = False
    """Whether the page shows it on demand only: it says again what another row says."""

    @property
    def y_title(self) -> str:
        """The axis' title with its unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def absent(self) -> str | None:
        """Why no panel of it has anything to draw; None where one has."""
        return _joined(panel.absent for panel in self.panels)

    @property
    def y_range(self) -> Pair | None:
        """The part of the y axis that is shown; None: as far as there are values, on a logarithmic axis.

        From zero, unless that would press what differs into a corner.
        """
        if self.log:
            return None
        if self.shown is not None:
            return self.shown
        heights = [y for panel in self.panels for y in panel.heights()]
        if not any(heights):
            return 0.0, 1.0
        bands = (panel.band for panel in self.panels if panel.band)
        marks = (*(mark for panel in self.panels for mark in panel.marks), *bands)
        low, high = _shown(heights, (mark.spread for mark in marks))
        scatter = any(panel.marks and panel.x_title for panel in self.panels)
        return (low if scatter or low > 0.5 * high or low < -0.1 * high else 0.0), high


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure."""

    key: str
    """Names its files."""
    title: str
    caption: str
    """What it shows, of what, where, and of how many trials."""
    columns: tuple[str, ...]
    rows: tuple[PanelRow, ...]
    tool: str = ""
    """Of a figure of one tool, whose columns are setups; else they are tools."""

    @property
    def absent(self) -> str | None:
        """Why there is nothing to draw at all; None where there is something."""
        return _joined(row.absent for row in self.rows)

    @property
    def drawn(self) -> tuple[PanelRow, ...]:
        """The rows that have something to draw."""
        return tuple(row for row in self.rows if row.absent is None)

    @property
    def missing(self) -> tuple[str, ...]:
        """What the other rows would show, and why they do not."""
        return tuple(f"{row.title}: {row.absent}" for row in self.rows if row.absent is not None)

    @property
    def longest_label(self) -> int:
        """Letters of the longest label below a panel."""
        return max((len(text) for row in self.drawn for panel in row.panels for _, text in panel.ticks), default=4)

    def says_its_x(self, number: int, column: int) -> bool:
        """Whether a drawn panel has to say itself what its x axis is: none below in its column has the same one."""
        panel, *below = (row.panels[column] for row in self.drawn[number:])
        return not any((other.ticks, other.x_title) == (panel.ticks, panel.x_title) for other in below)

    def labelled(self, number: int) -> bool:
        """Whether a drawn row has labels below its panels."""
        return any(self.says_its_x(number, column) for column in range(len(self.columns)))


def around(mean: float, sd: float | None) -> Pair | None:
    """Return the ends of an error bar of an SD."""
    return None if sd is None else (mean - sd, mean + sd)


def _shown(values: Sequence[float], spreads: Iterable[Pair | None]) -> Pair:
    """Return from where to where an axis reaches: over all values, and error bars as far as they leave these room."""
    low, high = min(values), max(values)
    room = 0.5 * (high - low) or 0.5 * abs(low) or 1.0
    ends = [end for spread in spreads if spread is not None for end in spread]
    margin = 0.1 * room
    return max(low - room, min([low, *ends]) - margin), min(high + room, max([high, *ends]) + margin)


def _joined(reasons: Iterable[str | None]) -> str | None:
    """All reasons in one line; None where one has none, as there is something."""
    found = dict.fromkeys(reasons)
    return None if None in found else "; ".join(map(str, found)) or "nothing to draw"
