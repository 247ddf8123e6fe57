# SPDX-License-Identifier: Apache-2.0
"""Two runs side by side, for the eye and for programs.

Data:

    before, after  ids of the runs
    differences[]  what, before, after: facts in which the runs differ
    shifts[]       the cell, metric, unit, versus_vanilla, before, after, n_before, n_after, is_ratio, change,
                   interval {low, high} or null, p, p_corrected, finding
    only_before[], only_after[]   cells that one run alone has
    trials_before, trials_after   {order, noise}: what each run says of its own trials, as order.py describes it
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from bpfbench.analysis import metrics, results
from bpfbench.analysis.inference import Finding
from bpfbench.analysis.questions.compare import RunComparison, Shift
from bpfbench.analysis.results import Cell
from bpfbench.report import wording
from bpfbench.report.document import Block, Document, section, table
from bpfbench.units import size

SCHEMA = 2
"""Version of the data. History: 1 (first); 2 (in the envelope of all answers)."""

SHOWN = tuple(
    metric.key
    for metric in (
        metrics.RUNTIME,
        metrics.LATENCY_P99,
        metrics.CPU,
        metrics.MEMORY_GROWTH,
        metrics.ENERGY,
        metrics.SAVED_PERCENT,
        metrics.TRACER_CPU,
        metrics.PSS_PEAK,
    )
)
"""What people are shown; JSON has everything."""

LISTED = 5
"""Cells of one run alone that people are shown."""

Saids = tuple[wording.Said, wording.Said]
NOTHING_SAID: Saids = (wording.Said(), wording.Said())

MANIFOLD = 10.0
"""From here on, a change is a factor and no longer per cent."""

WORDS = {
    Finding.HIGHER: "higher",
    Finding.LOWER: "lower",
    Finding.INCONCLUSIVE: "cannot be told",
    Finding.TOO_FEW: "too few trials",
}


def data(found: RunComparison, before: str, after: str, said: Saids = NOTHING_SAID) -> dict[str, Any]:
    """Return a comparison for programs."""
    return {
        "before": before,
        "after": after,
        "differences": found.facts,
        "shifts": [_shift(shift) for shift in found.shifts],
        "only_before": [cell.columns for cell in found.only_before],
        "only_after": [cell.columns for cell in found.only_after],
        "trials_before": dict(said[0].document),
        "trials_after": dict(said[1].document),
    }


def _shift(shift: Shift) -> dict[str, Any]:
    flat = dataclasses.asdict(shift) | {"finding": shift.finding.value}
    del flat["cell"]
    return shift.cell.columns | flat


def document(found: RunComparison, before: str, after: str, said: Saids = NOTHING_SAID) -> Document:
    """Describe a comparison."""
    return tuple(_blocks(found, before, after, said))


def _blocks(found: RunComparison, before: str, after: str, said: Saids) -> Iterator[Block]:
    """Describe a comparison: what is different about the runs, what each says of its trials, then what came of it."""
    rows = tuple((item.what, item.before or "-", item.after or "-") for item in found.facts)
    alike = () if rows else ("Nothing that was recorded: same machine, kernel, image and study.",)
    yield from section(
        f"What is different about {before} and {after}", alike, table(("", before, after), rows, texts=3)
    )
    for name, own in zip((before, after), said, strict=True):
        if own.sentences:
            yield from section(
                f"The trials of {name}", (*(f"Warning: {text}" for text in own.warnings), *own.sentences)
            )
    shown = [shift for shift in found.shifts if shift.metric in SHOWN]
    yield from section("What changed", (_told(shown), *_apart(found)))
    for _, group in groupby(shown, key=lambda shift: shift.cell.vanilla):
        yield from _table(list(group), before, after)
    yield from section(
        "How to read this",
        (
            "Of what vanilla has too, the ratio to vanilla of the same block is compared, so that a faster machine "
            "alone is no change; of vanilla itself and of the rest, the values. In brackets: 95 % confidence (Welch). "
            "A change is told where its p, corrected over all cells of the metric (Holm), is at most 0.05. Both are of "
            "runs that were not stopped by what they said of it.",
        ),
    )


def _told(shifts: Iterable[Shift]) -> str:
    told = [shift for shift in shifts if shift.finding in (Finding.HIGHER, Finding.LOWER)]
    if not told:
        return "No change can be told from noise."
    named = (f"{_name(shift.cell)} {shift.metric} {_change(shift)}" for shift in told)
    return f"{len(told)} {'change is' if len(told) == 1 else 'changes are'} beyond noise: {'; '.join(named)}."


def _apart(found: RunComparison) -> Iterator[str]:
    for what, cells in (("first", found.only_before), ("second", found.only_after)):
        if cells:
            names = list(dict.fromkeys(map(_name, cells)))
            more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
            yield f"In the {what} run only: {'; '.join(names[:LISTED])}{more}."


def _table(group: list[Shift], before: str, after: str) -> Iterator[Block]:
    cell = group[0].cell
    title = f"{wording.whole(cell.workload)}: {cell.tool}"
    configs = [shift.cell.config for shift in group if shift.cell.config is not None]
    varying, common = results.varying(configs), results.common(configs)
    rows, last = [], None
    for shift in group:
        rows.append(
            (
                wording.setup_name(shift.cell.setup, shift.cell.config, varying) if shift.cell != last else "",
                shift.metric + ((" / vanilla's" if shift.is_ratio else " - vanilla's") if shift.versus_vanilla else ""),
                f"{_number(shift.before, shift)} ({shift.n_before})",
                f"{_number(shift.after, shift)} ({shift.n_after})",
                _change(shift),
                WORDS[shift.finding],
            )
        )
        last = shift.cell
    header = ("setup", "metric", f"{before} (n)", f"{after} (n)", "change", "")
    said = ", ".join(wording.factor(name, value) for name, value in common.items())
    return section(title, (said,) if said else (), table(header, rows, texts=2))


def _name(cell: Cell) -> str:
    return f"{cell.workload.name}{wording.clauses(cell.workload)} {cell.tool} {cell.setup}"


def _number(value: float, shift: Shift) -> str:
    if shift.versus_vanilla and shift.is_ratio:
        return f"x {value:.3f}"
    if shift.unit == "bytes":
        return wording.signed_size(value) if not shift.is_ratio else size(round(value))
    return f"{value:.4g} {shift.unit}"


def _change(shift: Shift) -> str:
    def shown(value: float) -> str:
        if not shift.is_ratio:
            return wording.signed_size(value) if shift.unit == "bytes" else f"{value:+.2f} points"
        return f"{100 * (value - 1):+.1f} %" if value < MANIFOLD else f"x {value:.3g}"

    interval = shift.interval
    return shown(shift.change) + (f" [{shown(interval.low)}, {shown(interval.high)}]" if interval else "")
