# SPDX-License-Identifier: Apache-2.0
"""The tables behind a report: what each workload and tool came to, with what a test says of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from bpfbench.analysis.inference import Difference, Finding, Interval, Paired
from bpfbench.analysis.results import CELL, Description, PaperRule
from bpfbench.analysis.statistics import Analysis, Statistic
from bpfbench.analysis.summary import Group
from bpfbench.report import wording
from bpfbench.report.document import ABSENT, Column, Field, Table
from bpfbench.report.documents.summary import by_row, numbers, totals
from bpfbench.report.figures.sections import Section
from bpfbench.report.numbers import p_value, percent
from bpfbench.report.quantities import ACCOUNT, QUANTITIES, Quantity

TABLE_TITLES = {"performance": "performance and fidelity", "resources": "resources"}
"""Key of a table -> its title; quantities.py says what is in which."""

LEGEND = (
    "Mean ± SD over n trials that ended ok. Below it the ratio to vanilla of the same block, as a change in per cent,"
    " with its 95 % confidence interval, and p of the paired t test after Holm's correction over the setups; of memory"
    " growth the difference, in MiB. Bold: p ≤ 0.05. ~: within vanilla's SD, which the paper calls inconclusive."
)


def tables(section: Section, group: Group) -> Iterator[Table]:
    """Yield what one workload and tool came to: a row per setup, a column per quantity that was measured."""
    what = f"Tool {group.tool}."
    if group.emulated:
        found = {own: totals(own, group.rows) for own in ACCOUNT}
        yield _table(section, group, "account", "every call accounted for", f"{what} {wording.ACCOUNT}", found)
        return
    for key, title in TABLE_TITLES.items():
        shown = [own for own in QUANTITIES if own.page == key]
        found = {
            own: numbers(own, [section.statistic(row, own.metric) for row in group.rows], _number) for own in shown
        }
        measured = {own: cells for own, cells in found.items() if any(cell.text != ABSENT for cell in cells)}
        if measured:
            yield _table(section, group, key, title, what, measured)


def _table(
    section: Section, group: Group, key: str, title: str, what: str, found: Mapping[Quantity, Sequence[Field]]
) -> Table:
    return dataclasses.replace(
        by_row(group, (Column(own.title, own.unit) for own in found), found.values()),
        key=f"{key}-{section.key}-{group.tool}",
        title=f"{section.workload.name}, {group.tool}: {title}",
        caption=section.caption(what),
    )


def _number(quantity: Quantity, own: Statistic, digits: int) -> Field:
    field = Field(quantity.number(own.spread.mean, digits), spread=quantity.spread(own.spread.sd, digits))
    compared = own.paired or own.difference
    if compared is None:
        return field
    mark = wording.MARKS[PaperRule.INCONCLUSIVE] if own.rule is PaperRule.INCONCLUSIVE else ""
    weight = compared.finding.value if compared.finding in (Finding.HIGHER, Finding.LOWER) else "unclear"
    return dataclasses.replace(field, detail=against(compared, quantity), weight=weight, mark=mark)


def against(compared: Paired | Difference, quantity: Quantity) -> str:
    """Write a ratio to vanilla as a change, or a difference, with what is known of its error, a line each."""
    written: Callable[[float], str] = percent if isinstance(compared, Paired) else quantity.difference
    lines = [f"{percent(compared.ratio)} %" if isinstance(compared, Paired) else written(compared.mean)]
    if compared.interval is not None:
        lines.append(f"[{written(compared.interval.low)}, {written(compared.interval.high)}]")
    if compared.p_corrected is not None:
        lines.append(f"p {p_value(compared.p_corrected)}")
    return "\n".join(lines)


def flat(analysis: Analysis) -> tuple[tuple[str, ...], list[dict[str, object]]]:
    """Return header and rows of a CSV of everything that is known of every cell and metric, unrounded."""
    return _FLAT, [_flat(found) for found in analysis.statistics]


_SPREAD = tuple(field.name for field in dataclasses.fields(Description))
_PAIRED = ("ratio", "p", "p_corrected", "p_sign_flip", "p_sign_flip_corrected", "effect", "repetitions_needed")
_ENDS = ("interval_low", "interval_high", "bootstrap_low", "bootstrap_high")
_DIFFERENCE = ("difference", "difference_low", "difference_high")
_FLAT = (*CELL, "metric", "unit", *_SPREAD, "pairs", *_PAIRED, *_ENDS, "finding", "paper_rule", *_DIFFERENCE)


def _flat(own: Statistic) -> dict[str, object]:
    flat = {**own.cell.columns, "metric": own.metric, "unit": own.unit, **dataclasses.asdict(own.spread)}
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
