# SPDX-License-Identifier: Apache-2.0
"""The tables behind a report: what each workload and tool came to, with what a test says of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby

from bpfbench.analysis.apart import Verdict
from bpfbench.analysis.inference import Difference, Interval, Paired
from bpfbench.analysis.metrics import LATENCY_P99, LATENCY_P999
from bpfbench.analysis.results import CELL, Description, PaperRule
from bpfbench.analysis.statistics import Analysis, Statistic
from bpfbench.analysis.summary import Group, Row
from bpfbench.report import wording
from bpfbench.report.document import ABSENT, Column, Field, Table
from bpfbench.report.documents.marks import MARK, Marks
from bpfbench.report.documents.summary import by_row, numbers, of_group, totals
from bpfbench.report.figures.sections import Section
from bpfbench.report.numbers import p_value, percent
from bpfbench.report.quantities import Quantity, accounted

TABLE_TITLES = {"performance": "performance and fidelity", "resources": "resources"}
"""Key of a table -> its title; quantities.py says what is in which."""

PERCENTILES = (LATENCY_P99, LATENCY_P999)

WEIGHTS: Mapping[Verdict | PaperRule | None, str] = {Verdict.MORE: "higher", Verdict.LESS: "lower"}
"""How a number is set that differs from vanilla's."""

LEGEND = (
    "Mean ± SD over n trials that ended ok. Below it the ratio to vanilla of the same block, as a change in per cent,"
    " with the interval that holds at every look and for all setups of a table at once; of memory growth the"
    " difference, in MiB. Bold: it differs from vanilla; ~: it cannot be told from it; ?: too few rounds to tell."
)


def tables(section: Section, group: Group, marks: Marks) -> Iterator[Table]:
    """Yield what one workload and tool came to: a row per setup, a column per quantity that was measured.

    Args:
        section: the workload.
        group: the tool.
        marks: of its differences.
    """
    what = f"Tool {group.tool}."
    if group.emulated:
        known = {own for row in group.rows for own in row.samples}
        found = {own: totals(own, group.rows) for own in accounted(known, fio=True)}
        yield _table(section, group, "account", "every call accounted for", f"{what} {wording.ACCOUNT}", found)
        return
    for key, title in TABLE_TITLES.items():
        shown = [own for own in of_group(group) if own.page == key]
        found = {own: numbers(own, group.rows, partial(_number, section, marks)) for own in shown}
        measured = {own: cells for own, cells in found.items() if any(cell.text != ABSENT for cell in cells)}
        if measured:
            percentiles = any(own.metric in PERCENTILES for own in measured)
            yield _table(section, group, key, title, f"{what}{section.behind if percentiles else ''}", measured)


def _table(
    section: Section, group: Group, key: str, title: str, what: str, found: Mapping[Quantity, Sequence[Field]]
) -> Table:
    return dataclasses.replace(
        by_row(group, (Column(own.title, own.unit) for own in found), found.values()),
        key=f"{key}-{section.key}-{group.tool}",
        title=f"{section.workload.name}{wording.clauses(section.workload)}, {group.tool}: {title}",
        caption=section.caption(what),
    )


def _number(section: Section, marks: Marks, quantity: Quantity, row: Row, digits: int) -> Field:
    own = section.statistics[row.cell, quantity.metric.key]
    field = Field(quantity.number(own.spread.mean, digits), spread=quantity.spread(own.spread.sd, digits))
    compared: Paired | Difference | None = own.paired or own.difference
    if compared is None:
        return field
    told, verdict = marks.told[row.cell, quantity.metric], marks.judged(row, quantity.metric)
    ends = told.interval
    if ends is not None and own.paired is not None:
        ends = Interval(1 + ends.low / 100, 1 + ends.high / 100)
    shown = against(dataclasses.replace(compared, interval=ends, p_corrected=None), quantity)
    weight = WEIGHTS.get(verdict, "unclear")
    return dataclasses.replace(field, detail=shown, weight=weight, mark=MARK.get(verdict, ""))


def against(compared: Paired | Difference, quantity: Quantity) -> str:
    """Write a ratio to vanilla as a change, or a difference, with what is known of its error, a line each."""
    written: Callable[[float], str] = percent if isinstance(compared, Paired) else quantity.difference
    lines = [f"{percent(compared.ratio)} %" if isinstance(compared, Paired) else written(compared.mean)]
    if compared.interval is not None:
        lines.append(f"[{written(compared.interval.low)}, {written(compared.interval.high)}]")
    if compared.p_corrected is not None:
        lines.append(f"p {p_value(compared.p_corrected)}")
    return "\n".join(lines)


def flat(analysis: Analysis) -> Iterator[dict[str, object]]:
    """Yield everything that is known of every cell and metric, unrounded, by the columns of FLAT."""
    for cell, own in groupby(analysis.statistics, lambda found: found.cell):
        columns = cell.columns
        yield from (_flat(found, columns) for found in own)


_SPREAD = tuple(field.name for field in dataclasses.fields(Description))
_PAIRED = ("ratio", "p", "p_corrected", "p_sign_flip", "p_sign_flip_corrected", "effect", "repetitions_needed")
_ENDS = ("interval_low", "interval_high", "bootstrap_low", "bootstrap_high")
_DIFFERENCE = ("difference", "difference_low", "difference_high")
FLAT = (*CELL, "metric", "unit", *_SPREAD, "pairs", *_PAIRED, *_ENDS, "finding", "paper_rule", *_DIFFERENCE)


def _flat(own: Statistic, cell: Mapping[str, object]) -> dict[str, object]:
    spread = {name: getattr(own.spread, name) for name in _SPREAD}
    flat = {**cell, "metric": own.metric, "unit": own.unit, **spread}
    flat["paper_rule"] = own.rule and own.rule.value
    if tested := own.paired or own.difference:
        flat |= {"pairs": tested.n, "p": tested.p, "p_corrected": tested.p_corrected, "finding": tested.finding.value}
    if own.difference is not None:
        flat |= {"difference": own.difference.mean, **_ends("difference", own.difference.interval)}
    if own.paired is not None:
        flat |= {name: getattr(own.paired, name) for name in _PAIRED}
        flat |= {**_ends("interval", own.paired.interval), **_ends("bootstrap", own.paired.bootstrap)}
    return flat


def _ends(name: str, interval: Interval | None) -> dict[str, float]:
    return {f"{name}_low": interval.low, f"{name}_high": interval.high} if interval else {}
