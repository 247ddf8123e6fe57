# SPDX-License-Identifier: Apache-2.0
"""What a figure shows, apart from how it is drawn: a grid of panels, one column per tool and one row per quantity.

Builders make charts out of records and statistics; drawn.py (matplotlib) and interactive.py (Plotly) draw the same
chart, so that print and screen cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """One value of one row: a setup in one configuration."""

    label: str
    setup: str
    """Whose look it has."""
    y: float
    spread: tuple[float, float] | None = None
    """The ends of its error bar."""
    trials: tuple[float, ...] = ()
    """The single trials' values."""
    x: float | None = None
    """Of a scatter only; elsewhere the label is the position."""
    x_spread: tuple[float, float] | None = None
    hover: str = ""
    """What else there is to say of it."""


@dataclass(frozen=True, slots=True)
class Band:
    """Vanilla: mean and SD."""

    mean: float
    sd: float | None


@dataclass(frozen=True, slots=True)
class Dots:
    """Values with error bars, a label each."""

    marks: tuple[Mark, ...]
    band: Band | None = None
    paper: tuple[tuple[str, float], ...] = ()
    """What the paper prints, by label."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a stacked bar."""

    name: str
    value: float
    is_rest: bool = False
    """Drawn in grey: not what the bar is about."""


@dataclass(frozen=True, slots=True)
class Stack:
    """One stacked bar."""

    label: str
    setup: str
    parts: tuple[Part, ...]
    hover: str = ""


@dataclass(frozen=True, slots=True)
class Stacks:
    """Stacked bars, a label each."""

    bars: tuple[Stack, ...]
    top: float | None = None
    """Where the axis ends, if it is given by what is shown: 100 for shares."""
    paper: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """Values over something that is continuous."""

    label: str
    setup: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines with a common x axis."""

    lines: tuple[Line, ...]
    x_title: str
    ticks: tuple[tuple[float, str], ...] = ()
    """Where the x axis has its ticks, and what they say; empty: where it likes."""


@dataclass(frozen=True, slots=True)
class Scatter:
    """Values against each other."""

    marks: tuple[Mark, ...]
    x_title: str
    front: tuple[tuple[float, float], ...] = ()
    """The Pareto front, in the order of x."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing to draw."""

    reason: str


Panel = Dots | Stacks | Lines | Scatter | Absent


@dataclass(frozen=True, slots=True)
class PanelRow:
    """One quantity, for each tool."""

    title: str
    unit: str
    panels: tuple[Panel, ...]
    log: bool = False

    @property
    def y_title(self) -> str:
        """The axis' title with its unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def absent(self) -> str | None:
        """Why no panel of it has anything to draw; None where one has."""
        reasons = [panel.reason for panel in self.panels if isinstance(panel, Absent)]
        return "; ".join(dict.fromkeys(reasons)) if len(reasons) == len(self.panels) else None


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

    @property
    def absent(self) -> str | None:
        """Why there is nothing to draw at all; None where there is something."""
        reasons = [row.absent for row in self.rows if row.absent is not None]
        return "; ".join(dict.fromkeys(reasons)) or "nothing to draw" if len(reasons) == len(self.rows) else None

    def panels(self) -> Iterator[Panel]:
        """Every panel, row by row."""
        for row in self.rows:
            yield from row.panels


def labels(panel: Panel) -> tuple[str, ...]:
    """The categories on the x axis of a panel; empty where the axis is a scale."""
    match panel:
        case Dots(marks=marks):
            return tuple(mark.label for mark in marks)
        case Stacks(bars=bars):
            return tuple(bar.label for bar in bars)
    return ()


def says_its_x(chart: Chart, number: int, column: int) -> bool:
    """Whether a panel has to say itself what its x axis is: none below in its column has the same one."""
    panel = chart.rows[number].panels[column]
    below = [row.panels[column] for row in chart.rows[number + 1 :] if row.absent is None]
    return not any(type(other) is type(panel) and labels(other) == labels(panel) for other in below)


def x_range(panel: Scatter) -> tuple[float, float]:
    """The part of the x axis that a scatter shows: all marks. Bars of few repetitions may reach out of it by far."""
    places = [mark.x for mark in panel.marks if mark.x is not None]
    low, high = min(places, default=0.0), max(places, default=0.0)
    room = 0.5 * (high - low) or 1.0
    ends = [end for mark in panel.marks if mark.x_spread is not None for end in mark.x_spread]
    return max(low - room, min([low - 0.1 * room, *ends])), min(high + room, max([high + 0.1 * room, *ends]))
