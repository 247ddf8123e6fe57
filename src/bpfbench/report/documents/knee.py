# SPDX-License-Identifier: Apache-2.0
"""Where a knob stops paying: what each of its values costs, and the smallest that is as good as any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from bpfbench.analysis.questions.knee import PRICE, Curve, Turned
from bpfbench.analysis.results import said
from bpfbench.factors import KNOBS
from bpfbench.report import wording
from bpfbench.report.document import ABSENT, Block, Bullets, Column, Document, Field, Heading, Table
from bpfbench.report.numbers import rounded, share

WORDS = {
    "fidelity": "saved",
    "kernel": "BPF programs",
    "overhead": "runtime",
    "latency": "latency",
    "cpu": "CPU of the machine",
    "tracer": "CPU of the tracer",
    "delay": "delay p99",
}
LEGEND = (
    "Means; behind each, by how many per cent, or points, it differs from the best, and what that may be. Intervals "
    "hold at every look, for all values of a column at once. ? too few rounds to tell.",
    "BPF programs: run time per event, of trials with --variants run-time, which the others have no part in.",
    "Smaller values than the smallest are known to be worse than another by more than the margin; it is known to be "
    "worse than none. Where these two are not the same value, it lies between them.",
)
DELAY = (
    "delay p99: from the end of an event until it could be read in the output, of 99 in 100; of trials with --variants "
    "delay. It is what a larger value costs, so that of it the largest is looked for."
)
WAITS = (
    "waits at most: until the ring holds the watermark at the rate that was offered, or the poll time-out is over. "
    "Worked out, not measured; what waits in the output buffer afterwards is not in it."
)


def data(found: Sequence[Turned]) -> list[dict[str, Any]]:
    """Say it for programs: of each value and cost, mean and change from the best, in per cent or points."""
    return [
        {
            "kernel": own.cell.kernel,
            "workload": own.cell.workload,
            "tool": own.cell.tool,
            "setup": own.cell.setup,
            "config": own.cell.config,
            "knob": own.knob,
            "values": list(own.values.values()),
            "waits_ms": own.waits_ms,
            "costs": {curve.need.key: _numbers(own, curve) for curve in own.curves},
        }
        for own in found
    ]


def document(found: Sequence[Turned]) -> Document:
    """Say it case by case, setup by setup."""
    return tuple(_blocks(found))


def _blocks(found: Sequence[Turned]) -> Iterator[Block]:
    for case, members in groupby(found, lambda own: own.cell.vanilla):
        yield Heading(wording.case_title(case.workload, case.tool, case.kernel), 1)
        for own in members:
            yield Heading(_title(own))
            yield _table(own)
            yield Bullets(tuple(_sentence(own, curve) for curve in own.curves))
    yield Heading("How to read this")
    delays = any(curve.need is PRICE for own in found for curve in own.curves)
    waits = any(own.waits_ms for own in found)
    yield Bullets((*LEGEND, *((DELAY,) if delays else ()), *((WAITS,) if waits else ())))


def _title(own: Turned) -> str:
    field = KNOBS[own.knob].field
    others = (wording.factor(name, value) for name, value in said(own.cell.config).items() if name != field)
    return f"{own.cell.setup}: {own.knob}, with {', '.join(others)}"


def _table(own: Turned) -> Table:
    columns = [Column(own.knob, is_text=True)]
    columns += [Column("waits at most", "ms")] if own.waits_ms else []
    columns += [Column(WORDS[curve.need.key], curve.need.metric.unit) for curve in own.curves]
    rows = []
    for name in own.values:
        waits = own.waits_ms.get(name)
        row = [Field(_called(own, name))]
        row += [Field(ABSENT if waits is None else f"{waits:.3g}")] if own.waits_ms else []
        rows.append((*row, *(_field(curve, name) for curve in own.curves)))
    return Table(tuple(columns), tuple(rows))


def _field(curve: Curve, name: str) -> Field:
    if name not in curve.means:
        return Field(ABSENT)
    mean = share(curve.means[name]) if curve.need.by_points else rounded(curve.means[name], 2)
    if name == curve.best:
        return Field(mean, detail="best")
    gap = curve.contenders.gaps.get((name, curve.best))
    if gap is None:
        return Field(mean)
    change = rounded(curve.need.change(gap.mean), 1, "+")
    ends = curve.need.changes(gap.interval).ends
    if ends is None:
        return Field(mean, detail=change, mark="?")
    low, high = (rounded(end, 1, "+") for end in ends)
    return Field(mean, detail=f"{change} [{low}, {high}]")


def _sentence(own: Turned, curve: Curve) -> str:
    """Say where the knee of a cost is."""
    low, high = curve.no_smaller_than, curve.no_larger_than
    points = "point" if curve.margin == 1 else "points"
    margin = f"{curve.margin:g} {points if curve.need.by_points else '%'}"
    which = "largest" if curve.from_above else "smallest"
    what = f"{WORDS[curve.need.key]}: the {which} within {margin} of the best is"
    ends = [f"no smaller than {_called(own, low)}"] if low is not None else []
    ends += [f"no larger than {_called(own, high)}"] if high is not None else []
    if len(ends) == 1:
        return f"{what} not told yet: {ends[0]}. More rounds would tell."
    if low is not None and low == high:
        return f"{what} {_called(own, low)}."
    return f"{what} {', and '.join(ends)}."


def _called(own: Turned, name: str) -> str:
    return KNOBS[own.knob].called(own.values[name])


def _numbers(own: Turned, curve: Curve) -> Mapping[str, Any]:
    low, high = curve.no_smaller_than, curve.no_larger_than
    return {
        "metric": curve.need.metric.key,
        "margin": curve.margin,
        "of_the": "largest" if curve.from_above else "smallest",
        "no_smaller_than": None if low is None else own.values[low],
        "no_larger_than": None if high is None else own.values[high],
        "means": curve.means,
        "over_best": {name: _change(curve, name) for name in curve.means if name != curve.best},
    }


def _change(curve: Curve, name: str) -> Mapping[str, Any] | None:
    gap = curve.contenders.gaps.get((name, curve.best))
    if gap is None:
        return None
    interval = curve.need.changes(gap.interval).ends
    return {"change": curve.need.change(gap.mean), "interval": interval, "n": gap.rounds}
