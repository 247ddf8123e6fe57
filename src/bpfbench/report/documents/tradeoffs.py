# SPDX-License-Identifier: Apache-2.0
"""What setups trade for what: a table a workload and tool, then the correlations.

Data:

    axes           key -> {title, unit, higher_is_better}
    groups[]       workload, processes, bytes_per_process, rate_iops, kernel, tool, points[], front[],
                   front_of_all[], axes[] (of the latter), correlations[]
    points[]       cell {setup, attach, format, ...}, at: axis -> {value, interval {low, high} or null, n},
                   on_front (certain, by the means alone, possible, no)
    front[]        positions in points[], best first: what no other beats in fidelity and in overhead, or at a limited
                   rate in latency, by the means
    answer         which setup for which need: answer.py describes it
    correlations[] axes[2], n, rho, interval, p, reason, each null where there is none; on the top level over all groups
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bpfbench.analysis.decision import Standing
from bpfbench.analysis.questions.needs import Answers
from bpfbench.analysis.questions.tradeoffs import (
    AXES,
    DECIDED_AS,
    ENOUGH,
    FIDELITY,
    Axis,
    Correlation,
    Point,
    TradeOff,
    TradeOffs,
)
from bpfbench.analysis.results import CONFIG, WORKLOAD
from bpfbench.model import EMULATED
from bpfbench.report import wording
from bpfbench.report.about import About
from bpfbench.report.document import ABSENT, Block, Bullets, Document, Paragraph, Table, section, table
from bpfbench.report.documents import needs
from bpfbench.report.documents.answer import data as answers_data

SCHEMA = 3
"""Version of the data. History: 1 (first); 2 (in the envelope of all answers; `groups` were `places`); 3 (at a limited
rate latency takes the place of overhead; intervals are those of all comparisons)."""


def document(found: TradeOffs, info: About, answer: Sequence[Answers] = (), run: str = "") -> Document:
    """Describe trade-offs.

    Args:
        found: in a run.
        info: what is said of it.
        answer: which setup for which need, over all cases.
        run: how it is called on a command line.
    """
    return tuple(_blocks(found, info, answer, run))


def _blocks(found: TradeOffs, info: About, answer: Sequence[Answers], run: str) -> Iterator[Block]:
    yield from (Paragraph(warning, "note") for warning in wording.warnings(info))
    if not found.each:
        why = EMULATED if info.emulated else "no trial of a tool that can lose events"
        yield Paragraph(f"There is no fidelity to trade: {why}.")
        return
    axes = [axis for axis in AXES if any(axis in point.at for own in found.each for point in own.points)]
    for own in found.each:
        cell = own.vanilla
        shown = [axis for axis in axes if any(axis in point.at for point in own.points)]
        header = ("setup", *(f"{axis.title}, {axis.unit}" for axis in shown), "on the front", "of all axes")
        title = wording.case_title(cell.workload, cell.tool, cell.kernel)
        yield from section(title, (), table(header, list(_rows(own, shown))))
        yield Bullets(tuple(_leaders(own)))
    if answer:
        yield from section("Over all cases", (), *needs.brief(answer, run))
    over = "1 workload and tool" if len(found.each) == 1 else f"{len(found.each)} workloads and tools together"
    yield from section(
        f"Spearman's rank correlation over the cells of {over}", (), correlations(found.correlations, axes)
    )
    asked = {own.cost for own in found.each}
    missing = [axis.title for axis in AXES if axis not in axes and (axis in asked or axis not in DECIDED_AS)]
    lacking = (f"Not measured, or not comparable: {', '.join(missing)}.",) if missing else ()
    yield from section("How to read this", (*lacking, *legend(found.correlations)))


def correlations(found: Sequence[Correlation], axes: Sequence[Axis] = AXES) -> Table:
    """Make the table of the correlations between axes, over all cells."""
    rows = [_correlation(own) for own in found if set(own.axes) <= set(axes)]
    return table(("between", "rho", "95 %", "p", "cells"), rows)


def legend(found: Sequence[Correlation]) -> Iterator[str]:
    """Explain the marks, and say how far to trust them."""
    yield (
        "A setup is on the front if no other is at least as good in cost and fidelity, and better in one. Its cost is"
        " overhead; at a limited rate, where runtime is what the rate wants, it is latency. Certain:"
        " each other is known to be worse in one of them. No: another is known to be better in one, and as good in the"
        " other within the margin. Else it is on it by the means alone, or possible. Of all axes: the same over all of"
        " them, by the means. In brackets 95 % intervals that hold at every look and for all setups of a table at once."
    )
    if any(c.rho is not None and not c.leans for c in found):
        yield f"With fewer than {ENOUGH} cells a correlation is nothing to lean on."
    yield "Cells of one setup are not independent, so that p and intervals say more than they should."


def _rows(own: TradeOff, axes: Sequence[Axis]) -> Iterator[list[str]]:
    for point in own.points:
        of_all = "by the means" if point in own.front_of_all else ""
        coordinates = (_coordinate(axis, point) for axis in axes)
        yield [_name(own, point), *coordinates, own.on_front(point).value, of_all]


def _name(own: TradeOff, point: Point) -> str:
    varying = [key for key in CONFIG if len({other.cell.columns[key] for other in own.points}) > 1]
    return wording.setup_name(point.cell.setup, point.cell.config, varying)


def _leaders(own: TradeOff) -> Iterator[str]:
    """Say who is the best in what the front is of, as far as this case by itself decides it."""
    for axis, title in ((own.cost, f"Least {own.cost.title}"), (FIDELITY, "Most saved")):
        if axis not in own.contenders:
            continue
        found = own.contenders[axis]
        names = {called: _name(own, own.points[int(called)]) for called in found.order}
        leader, open_ = names[found.order[0]], [names[called] for called in found.of(Standing.OPEN)]
        equal = [names[called] for called in found.of(Standing.EQUAL)]
        if open_:
            yield f"{title}: undecided; {leader} has the best mean; not ruled out: {', '.join([*equal, *open_])}."
        elif equal:
            yield f"{title}: {', '.join([leader, *equal])} are equal within the margin."
        elif len(names) > 1:
            yield f"{title}: {leader}."


def _coordinate(axis: Axis, point: Point) -> str:
    found = point.at.get(axis)
    if found is None:
        return ABSENT
    number = f"{found.value:+.1f}" if axis.over_vanilla else f"{found.value:.2f}"
    return f"{number} [{found.interval.low:+.1f}, {found.interval.high:+.1f}]" if found.interval else number


def _correlation(found: Correlation) -> list[str]:
    one, other = found.axes
    between = f"{one.title} and {other.title}"
    if found.rho is None:
        return [between, ABSENT, ABSENT, ABSENT, f"{found.n}: {found.reason}"]
    ends = f"[{found.interval.low:+.2f}, {found.interval.high:+.2f}]" if found.interval else ABSENT
    return [between, f"{found.rho:+.2f}", ends, f"{found.p:.4f}", str(found.n)]


def data(found: TradeOffs, answer: Sequence[Answers] = ()) -> dict[str, Any]:
    """Return trade-offs for programs."""
    return {
        "axes": {
            axis.key: {"title": axis.title, "unit": axis.unit, "higher_is_better": axis.higher_is_better}
            for axis in AXES
        },
        "groups": [_trade_off(own) for own in found.each],
        "correlations": [_correlated(own) for own in found.correlations],
        "answer": answers_data(answer),
    }


def _trade_off(own: TradeOff) -> dict[str, Any]:
    positions = {id(point): number for number, point in enumerate(own.points)}
    keys = (*WORKLOAD, "kernel", "tool")
    return {
        **{key: own.vanilla.columns[key] for key in keys},
        "points": [
            {
                "cell": {key: point.cell.columns[key] for key in ("setup", *CONFIG)},
                "at": {axis.key: coordinate for axis, coordinate in point.at.items()},
                "on_front": own.on_front(point),
            }
            for point in own.points
        ],
        "front": [positions[id(point)] for point in own.front],
        "front_of_all": [positions[id(point)] for point in own.front_of_all],
        "axes": [axis.key for axis in own.axes],
        "correlations": [_correlated(correlation) for correlation in own.correlations],
    }


def _correlated(found: Correlation) -> dict[str, Any]:
    shown = ("n", "rho", "interval", "p", "reason")
    return {"axes": [axis.key for axis in found.axes], **{key: getattr(found, key) for key in shown}}
