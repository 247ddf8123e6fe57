# SPDX-License-Identifier: Apache-2.0
"""Numbers over runs: a row per quantity, a panel per setup, with the levels between steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.questions.compare import ChangedFact
from bpfbench.analysis.questions.history import Course, RunValue, Trend, TrendStep
from bpfbench.analysis.results import Cell, varying
from bpfbench.report import wording
from bpfbench.report.chart import Chart, Line, Mark, Pair, Panel, PanelRow
from bpfbench.report.quantities import BY_METRIC, Quantity

WHAT = (
    "A mark is a run: the mean of its blocks, with its 95 % interval (Student's t) as far as it fits. Line: the mean of"
    " the runs, level by level; it steps where a step is told, and only there. Dashed: between two runs, machine,"
    " image, study or bpfbench changed."
)
LATELY = 5, 10
"""Where month and day stand in a time."""
NAMED_FACTS = 6
"""Facts that are named where one points; a new image may bring dozens."""
LONGEST_FACT = 60
"""Characters of a fact that are shown."""


def quantity(metric: Metric) -> Quantity:
    """Return how a number is shown; a target's own, as it declares it."""
    known = BY_METRIC.get(metric)
    return known or Quantity(metric, metric.own.name if metric.own else metric.key, metric.unit, 1)


def axis(trend: Trend) -> tuple[str, str]:
    """Return what a number is called, and its unit, as its history shows it."""
    own = quantity(trend.metric)
    return (f"{own.title} over vanilla", "%") if trend.is_compared else (own.title, own.unit)


def shown(trend: Trend, value: float) -> float:
    """Return a value on the scale as it is shown."""
    return trend.shown(value) / (1.0 if trend.is_compared else quantity(trend.metric).scale)


def day(run_began: str) -> str:
    """Return month and day of a time; nothing of what is none."""
    text = run_began[slice(*LATELY)]
    return text if text.replace("-", "").isdecimal() else ""


def fact_text(text: str | None) -> str:
    """Write one side of a fact that changed."""
    if text is None:
        return "none"
    text = wording.printable(text)
    return text if len(text) <= LONGEST_FACT else f"{text[: LONGEST_FACT - 1]}…"


def facts(found: Iterable[ChangedFact], most: int = NAMED_FACTS) -> list[str]:
    """Say what changed, a line each, as far as there is room."""
    lines = [
        f"{wording.printable(fact.what)}: {fact_text(fact.before)} to {fact_text(fact.after)}"
        for fact in sorted(found, key=lambda own: _rank(own.what))
    ]
    return lines if len(lines) <= most else [*lines[:most], f"and {len(lines) - most} more"]


def _rank(what: str) -> tuple[int, str]:
    """Versions first, which say the most; then what stands for all of an image."""
    order = ("image.versions.", "executables.", "bpfbench", "machine.kernel", "image.", "machine.")
    return next((at for at, own in enumerate(order) if what.startswith(own)), len(order)), what


def chart(course: Course, trends: Sequence[Trend], key: str, title: str, what: str = WHAT) -> Chart:
    """Make the figure of one case: a column per cell, a row per quantity.

    Args:
        course: whose runs these are.
        trends: of the case, each of whose cells has one of a metric.
        key: names the figure.
        title: of it.
        what: is said below it.
    """
    cells = tuple(dict.fromkeys(trend.cell for trend in trends))
    found = {(trend.cell, trend.metric): trend for trend in trends}
    metrics = sorted(dict.fromkeys(trend.metric for trend in trends), key=_position)
    names, rows = columns(cells), []
    frame = Panel(
        x_title="run, by when it began",
        places=tuple((float(at), day(run.began)) for at, run in enumerate(course.runs)),
        breaks=tuple(_breaks(course)),
    )
    for metric in metrics:
        own = [found.get((cell, metric)) for cell in cells]
        heading = next(axis(trend) for trend in own if trend)
        panels = (_panel(course, trend, name, frame) for trend, name in zip(own, names, strict=True))
        rows.append(PanelRow(*heading, tuple(panels), bars="95 % interval"))
    return Chart(key, title, what, names, tuple(rows))


def columns(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Name cells by what tells them apart."""
    differing = varying([cell.config for cell in cells if cell.config is not None])
    return tuple(wording.setup_name(cell.setup, cell.config, differing) for cell in cells)


def _position(metric: Metric) -> int:
    known = list(BY_METRIC)
    return known.index(metric) if metric in known else len(known)


def _panel(course: Course, trend: Trend | None, name: str, frame: Panel) -> Panel:
    if trend is None:
        return Panel(nothing="in no run")
    marks = (_mark(course, trend, at, own, name) for at, own in zip(trend.at, trend.values, strict=True))
    return replace(frame, marks=tuple(marks), lines=(_line(course, trend, name),))


def _mark(course: Course, trend: Trend, at: int, own: RunValue, name: str) -> Mark:
    run = course.runs[at]
    spread: Pair | None = None
    if own.interval is not None:
        spread = shown(trend, own.interval.low), shown(trend, own.interval.high)
    hover = f"run {wording.printable(run.name)}, n = {own.n}"
    return Mark(name, trend.cell.setup, shown(trend, own.value), spread, x=float(at), hover=hover, named=False)


def _line(course: Course, trend: Trend, name: str) -> Line:
    """The levels of a number, with what is to be said of its steps."""
    between = [(trend.at[step.at - 1] + trend.at[step.at]) / 2 for step in trend.steps]
    ends = [float(trend.at[0]), *between, float(trend.at[-1])]
    levels = [shown(trend, mean) for _, _, mean in trend.levels]
    points = [(end, level) for pair, level in zip(pairwise(ends), levels, strict=True) for end in pair]
    said = "\n".join(_said(course, trend, step) for step in trend.steps) or "no step is told"
    return Line(name, trend.cell.setup, tuple(points), said)


def _said(course: Course, trend: Trend, step: TrendStep) -> str:
    _, after = course.around(trend, step)
    return f"a step at run {wording.printable(after.name)}: {change(trend, step)}"


def change(trend: Trend, step: TrendStep) -> str:
    """Write a step as its change, with its interval."""
    low, high = _signed(trend, step.interval.low), _signed(trend, step.interval.high)
    return f"{_signed(trend, step.difference)} {'points' if trend.by_difference else '%'} [{low}, {high}]"


def _signed(trend: Trend, difference: float) -> str:
    value = trend.change(difference)
    return f"{value:+.2f}" if trend.by_difference else f"{value:+.1f}" if abs(value) < 1000 else f"{value:+.3g}"


def _breaks(course: Course) -> Iterator[tuple[float, str]]:
    """Where between two runs something changed but the tracers that a study brings, which may differ in each run."""
    for at, (run, since) in enumerate(zip(course.runs, course.changes, strict=True)):
        told = [own for own in since if not own.what.startswith("executables.")]
        if told:
            yield at - 0.5, "\n".join((f"from run {wording.printable(run.name)} on", *facts(told)))
