# SPDX-License-Identifier: Apache-2.0
"""What setups trade for what: a table a workload and tool, then the correlations.

Data:

    axes           key -> {title, unit, higher_is_better}
    groups[]       workload, processes, bytes_per_process, rate_iops, kernel, tool, points[], front[],
                   front_of_all[], axes[] (of the latter), correlations[]
    points[]       cell {setup, attach, format, ...}, at: axis -> {value, interval {low, high} or null, n}
    front[]        positions in points[], best first: what no other beats in overhead and fidelity
    correlations[] axes[2], n, rho, interval, p, reason, each null where there is none; on the top level over all groups
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bpfbench.analysis.questions.tradeoffs import AXES, ENOUGH, Axis, Correlation, Point, TradeOff, TradeOffs
from bpfbench.analysis.results import CONFIG, WORKLOAD
from bpfbench.model import EMULATED
from bpfbench.report import wording
from bpfbench.report.about import About
from bpfbench.report.document import ABSENT, Block, Document, Paragraph, Table, section, table

SCHEMA = 2
"""Version of the data. History: 1 (first); 2 (in the envelope of all answers; `groups` were `places`)."""


def document(found: TradeOffs, info: About) -> Document:
    """Describe trade-offs."""
    return tuple(_blocks(found, info))


def _blocks(found: TradeOffs, info: About) -> Iterator[Block]:
    yield from (Paragraph(warning, "note") for warning in wording.warnings(info))
    if not found.each:
        why = EMULATED if info.emulated else "no trial of a tool that can lose events"
        yield Paragraph(f"There is no fidelity to trade: {why}.")
        return
    axes = [axis for axis in AXES if any(axis in point.at for own in found.each for point in own.points)]
    for own in found.each:
        cell = own.vanilla
        header = ("setup", *(f"{axis.title}, {axis.unit}" for axis in axes), "front")
        title = wording.case_title(cell.workload, cell.tool, cell.kernel)
        yield from section(title, (), table(header, list(_rows(own, axes))))
    over = "1 workload and tool" if len(found.each) == 1 else f"{len(found.each)} workloads and tools together"
    yield from section(f"Spearman's rank correlation over the cells of {over}", (), correlations(found, axes))
    missing = [axis.title for axis in AXES if axis not in axes]
    lacking = (f"Not measured, or not comparable: {', '.join(missing)}.",) if missing else ()
    yield from section("How to read this", (*lacking, *legend(found)))


def correlations(found: TradeOffs, axes: Sequence[Axis] = AXES) -> Table:
    """Make the table of the correlations between axes, over all cells."""
    rows = [_correlation(own) for own in found.correlations if set(own.axes) <= set(axes)]
    return table(("between", "rho", "95 %", "p", "cells"), rows)


def legend(found: TradeOffs) -> Iterator[str]:
    """Explain the marks, and say how far to trust them."""
    yield (
        "Front: by the means, no other setup is at least as good in overhead and fidelity and better in one; (all): the"
        " same over all axes. In brackets the 95 % interval; setups whose intervals overlap may well change places."
    )
    if any(c.rho is not None and not c.leans for c in found.correlations):
        yield f"With fewer than {ENOUGH} cells a correlation is nothing to lean on."
    yield "Cells of one setup are not independent, so that p and intervals say more than they should."


def _rows(own: TradeOff, axes: Sequence[Axis]) -> Iterator[list[str]]:
    varying = [key for key in CONFIG if len({point.cell.columns[key] for point in own.points}) > 1]
    for point in own.points:
        fronts = {"front": own.front, "(all)": own.front_of_all}
        on = " ".join(name for name, members in fronts.items() if point in members)
        name = wording.setup_name(point.cell.setup, point.cell.config, varying)
        yield [name, *(_coordinate(axis, point) for axis in axes), on]


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


def data(found: TradeOffs) -> dict[str, Any]:
    """Return trade-offs for programs."""
    return {
        "axes": {
            axis.key: {"title": axis.title, "unit": axis.unit, "higher_is_better": axis.higher_is_better}
            for axis in AXES
        },
        "groups": [_trade_off(own) for own in found.each],
        "correlations": [_correlated(own) for own in found.correlations],
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
