# SPDX-License-Identifier: Apache-2.0
"""Two runs side by side, for the eye and for programs.

Data:

    before, after  ids of the runs
    differences[]  what, before, after: facts in which the runs differ
    shifts[]       the cell, metric, unit, versus_vanilla, before, after, n_before, n_after, is_ratio, change,
                   interval {low, high} or null, p, p_corrected, finding
    only_before[], only_after[]   cells that one run alone has
    trials_before, trials_after   {order, noise}: what each run says of its own trials, as order.py describes it
    gate[]         of each limit and cell: the cell, metric, limit, change, is_ratio, unit, n_before, n_after, verdict
                   (failed, passed, undecided); `change` in per cent where is_ratio
    same           whether both are one run
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from bpfbench.analysis import metrics, results
from bpfbench.analysis.inference import Finding
from bpfbench.analysis.questions.compare import RunComparison, Shift
from bpfbench.analysis.questions.gate import Gated, GateVerdict
from bpfbench.analysis.results import Cell
from bpfbench.report import wording
from bpfbench.report.document import Block, Column, Document, Field, Heading, Paragraph, Table, section, table, texts
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

GATE_WEIGHTS = {GateVerdict.FAILED: "bad", GateVerdict.PASSED: "good", GateVerdict.UNDECIDED: "open"}

WORDS = {
    Finding.HIGHER: "higher",
    Finding.LOWER: "lower",
    Finding.INCONCLUSIVE: "cannot be told",
    Finding.TOO_FEW: "too few trials",
}


def data(
    found: RunComparison,
    before: str,
    after: str,
    said: Saids = NOTHING_SAID,
    gate: Sequence[Gated] = (),
    *,
    same: bool = False,
) -> dict[str, Any]:
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
        "gate": [_gated(own) for own in gate],
        "same": same,
    }


def _gated(own: Gated) -> dict[str, Any]:
    told = ("change", "is_ratio", "unit", "n_before", "n_after", "verdict")
    about = {"metric": own.limit.metric, "limit": own.limit.text}
    return own.cell.columns | about | {key: getattr(own, key) for key in told}


def _shift(shift: Shift) -> dict[str, Any]:
    flat = dataclasses.asdict(shift) | {"finding": shift.finding.value}
    del flat["cell"]
    return shift.cell.columns | flat


def document(
    found: RunComparison,
    before: str,
    after: str,
    said: Saids = NOTHING_SAID,
    gate: Sequence[Gated] = (),
    *,
    whole: bool = True,
) -> Document:
    """Describe a comparison; `whole`: with what did not change, too."""
    return (*_gate(gate), *_blocks(found, before, after, said, whole=whole))


def of_itself(run: str) -> Document:
    """Say that a run was compared with itself."""
    return (
        Heading(f"{run} is compared with itself"),
        Paragraph("Both are the same run, record by record: there is nothing to compare.", "warning"),
    )


def _gate(gate: Sequence[Gated]) -> Iterator[Block]:
    """Say how the limits were kept: those that were not first."""
    if not gate:
        return
    counts = Counter(own.verdict for own in gate)
    yield Heading("The limits")
    yield Paragraph(", ".join(f"{counts[verdict]} {verdict}" for verdict in GateVerdict if counts[verdict]) + ".")
    rows = [
        (
            Field(own.verdict.value, weight=GATE_WEIGHTS[own.verdict]),
            Field(own.limit.text),
            Field(_case(own.cell)),
            Field(own.cell.setup),
            Field(_config(own.cell)),
            Field(_changed(own)),
        )
        for own in sorted(gate, key=lambda own: list(GateVerdict).index(own.verdict))
    ]
    yield Table((*texts("", "limit", "case", "setup", "configuration"), Column("change")), tuple(rows))


def _changed(own: Gated) -> str:
    if own.is_ratio:
        return f"{own.change:+.1f} %"
    return wording.signed_size(own.change) if own.unit == "bytes" else f"{own.change:+.2f} points"


def _case(cell: Cell) -> str:
    return f"{wording.whole(cell.workload)}: {cell.tool}"


def _config(cell: Cell) -> str:
    return ", ".join(wording.factor(name, value) for name, value in results.said(cell.config).items())


def _blocks(found: RunComparison, before: str, after: str, said: Saids, *, whole: bool) -> Iterator[Block]:
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
    told = [shift for shift in shown if shift.finding in (Finding.HIGHER, Finding.LOWER)]
    yield from section("What changed", (_told(told, len(shown)), *_apart(found)))
    yield from _tables(told, before, after)
    if whole and len(told) < len(shown):
        yield from section("What cannot be told to have changed")
        yield from _tables([shift for shift in shown if shift not in told], before, after)
    elif len(told) < len(shown):
        yield Paragraph(f"--all shows the other {len(shown) - len(told)}, none of which can be told to have changed.")
    yield from section(
        "How to read this",
        (
            "Of what vanilla has too, the ratio to vanilla of the same block is compared, so that a faster machine "
            "alone is no change; of vanilla itself and of the rest, the values. In brackets: 95 % confidence (Welch). "
            "A change is told where its p, corrected over all cells of the metric (Holm), is at most 0.05. Both are of "
            "runs that were not stopped by what they said of it.",
        ),
    )


def _told(told: Sequence[Shift], of: int) -> str:
    if not told:
        return f"No change can be told from noise, of {of} that were looked at."
    return f"{len(told)} of {of} numbers changed beyond noise."


def _tables(shifts: Iterable[Shift], before: str, after: str) -> Iterator[Block]:
    for _, group in groupby(shifts, key=lambda shift: shift.cell.vanilla):
        yield from _table(list(group), before, after)


def _apart(found: RunComparison) -> Iterator[str]:
    for what, cells in (("first", found.only_before), ("second", found.only_after)):
        if cells:
            names = list(dict.fromkeys(map(_name, cells)))
            more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
            yield f"In the {what} run only: {'; '.join(names[:LISTED])}{more}."


def _table(group: list[Shift], before: str, after: str) -> Iterator[Block]:
    cell = group[0].cell
    title = _case(cell)
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
