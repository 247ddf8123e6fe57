# SPDX-License-Identifier: Apache-2.0
"""Trade-offs for the eye and as JSON.

JSON (`schema` counts incompatible changes; new keys may come without one):

    schema         1
    run            RunInfo, key by key
    axes           key -> {title, unit, higher_is_better}
    places[]       workload, processes, bytes_per_process, rate_iops, kernel, tool, points[], front[],
                   front_of_all[], axes[] (of the latter), correlations[]
    points[]       cell {setup, attach, format, ...}, at: axis -> {value, interval {low, high} or null, n}
    front[]        positions in points[], best first: what no other beats in overhead and fidelity
    correlations[] axes[2], n, rho, interval, p, reason, each null where there is none; on the top level over all places
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bpfbench.analysis.table import CONFIGURED, Cell
from bpfbench.analysis.tradeoffs import AXES, ENOUGH, Axis, Correlation, Place, Point, TradeOffs
from bpfbench.model import EMULATED
from bpfbench.report import wording
from bpfbench.report.run_info import RunInfo

SCHEMA = 1
"""Version of the JSON document. History: 1 (first)."""


def render(found: TradeOffs, info: RunInfo, console: Console) -> None:
    """Print all of it."""
    for warning in wording.warnings(info):
        console.print(Text(f"Note: {warning}", style="yellow"), soft_wrap=True)
    style = box.ASCII if console.options.ascii_only else box.SIMPLE_HEAD
    if not found.places:
        why = EMULATED if info.emulated else "no trial of a tool that can lose events"
        console.print(f"There is no fidelity to trade: {why}.")
        return
    axes = [axis for axis in AXES if any(axis in point.at for place in found.places for point in place.points)]
    for place in found.places:
        console.print(Text(heading(place), style="bold"), soft_wrap=True)
        header = ["setup", *(f"{axis.title}, {axis.unit}" for axis in axes), "front"]
        _print(console, style, header, _rows(place, axes))
    console.print(Text(f"Spearman's rank correlation over the cells of {_over(found.places)}", style="bold"))
    shown = [c for c in found.correlations if set(c.axes) <= set(axes)]
    rows = ([f"{one.title} and {other.title}", *_correlation(c)] for c in shown for one, other in [c.axes])
    _print(console, style, ["between", "rho", "95 %", "p", "cells"], rows)
    if missing := [axis.title for axis in AXES if axis not in axes]:
        console.print(Text(f"Not measured, or not comparable: {', '.join(missing)}."))
    for line in legend(found):
        console.print(Text(line))


def heading(place: Place) -> str:
    """Name a place."""
    kernel = f", kernel {place.kernel}" if place.kernel else ""
    return f"{place.workload}, {wording.extent(place)}: {place.tool}{kernel}"


def legend(found: TradeOffs) -> Iterator[str]:
    """Explain the marks, and say how far to trust them."""
    yield (
        "Front: by the means, no other setup is at least as good in overhead and fidelity and better in one; (all): the"
        " same over all axes. In brackets the 95 % interval; setups whose intervals overlap may well change places."
    )
    if any(c.rho is not None and not c.leans for c in found.correlations):
        yield f"With fewer than {ENOUGH} cells a correlation is nothing to lean on."
    yield "Cells of one setup are not independent, so that p and intervals say more than they should."


def to_json(found: TradeOffs, info: RunInfo) -> str:
    """Write all of it as one JSON document."""
    document = {
        "schema": SCHEMA,
        "run": dataclasses.asdict(info),
        "axes": {
            axis.key: {"title": axis.title, "unit": axis.unit, "higher_is_better": axis.higher_is_better}
            for axis in AXES
        },
        "places": [_place(place) for place in found.places],
        "correlations": [_correlated(correlation) for correlation in found.correlations],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _print(console: Console, style: box.Box, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    grid = Table(box=style, pad_edge=False)
    for position, title in enumerate(header):
        grid.add_column(title, justify="right" if position else "left")
    for row in rows:
        grid.add_row(*map(Text, row))
    console.print(grid)


def _rows(place: Place, axes: Sequence[Axis]) -> Iterator[list[str]]:
    varying = [key for key in CONFIGURED if len({getattr(point.cell, key) for point in place.points}) > 1]
    for point in place.points:
        on = ["front"] if point in place.front else []
        on += ["(all)"] if point in place.front_of_all else []
        yield [_name(point.cell, varying), *(_coordinate(axis, point) for axis in axes), " ".join(on)]


def _name(cell: Cell, varying: Sequence[str]) -> str:
    labels = [wording.factor(key, getattr(cell, key)) for key in varying if getattr(cell, key) is not None]
    return f"{cell.setup} ({', '.join(labels)})" if labels else cell.setup


def _coordinate(axis: Axis, point: Point) -> str:
    found = point.at.get(axis)
    if found is None:
        return wording.ABSENT
    number = f"{found.value:+.1f}" if axis.over_vanilla else f"{found.value:.2f}"
    return f"{number} [{found.interval.low:+.1f}, {found.interval.high:+.1f}]" if found.interval else number


def _correlation(found: Correlation) -> list[str]:
    if found.rho is None:
        return [wording.ABSENT, wording.ABSENT, wording.ABSENT, f"{found.n}: {found.reason}"]
    ends = f"[{found.interval.low:+.2f}, {found.interval.high:+.2f}]" if found.interval else wording.ABSENT
    return [f"{found.rho:+.2f}", ends, f"{found.p:.4f}", str(found.n)]


def _over(places: Sequence[Place]) -> str:
    return "1 workload and tool" if len(places) == 1 else f"{len(places)} workloads and tools together"


def _place(place: Place) -> dict[str, Any]:
    positions = {id(point): number for number, point in enumerate(place.points)}
    return {
        "workload": place.workload,
        "processes": place.processes,
        "bytes_per_process": place.bytes_per_process,
        "rate_iops": place.rate_iops,
        "kernel": place.kernel,
        "tool": place.tool,
        "points": [_point(point) for point in place.points],
        "front": [positions[id(point)] for point in place.front],
        "front_of_all": [positions[id(point)] for point in place.front_of_all],
        "axes": [axis.key for axis in place.axes],
        "correlations": [_correlated(correlation) for correlation in place.correlations],
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "cell": {key: getattr(point.cell, key) for key in ("setup", *CONFIGURED)},
        "at": {axis.key: dataclasses.asdict(coordinate) for axis, coordinate in point.at.items()},
    }


def _correlated(found: Correlation) -> dict[str, Any]:
    return {
        "axes": [axis.key for axis in found.axes],
        "n": found.n,
        "rho": found.rho,
        "interval": None if found.interval is None else dataclasses.asdict(found.interval),
        "p": found.p,
        "reason": found.reason,
    }
