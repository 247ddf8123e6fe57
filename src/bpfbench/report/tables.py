# SPDX-License-Identifier: Apache-2.0
"""The tables of a report, apart from how they are written: texts in rows, for HTML, CSV, Markdown and LaTeX alike."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from bpfbench.analysis import metrics
from bpfbench.analysis.inference import Difference, Finding, Paired
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.results import CELL, Description, PaperRule
from bpfbench.analysis.statistics import Analysis, Statistic
from bpfbench.analysis.summary import Group
from bpfbench.report import wording
from bpfbench.report.columns import ACCOUNT, MIB, cells, rounded, share
from bpfbench.report.figures.sections import Section
from bpfbench.report.write import markdown

DASH = "–"
MINUS = "\N{MINUS SIGN}"
NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one field."""

    text: str
    detail: str = ""
    """The second line: what is to be known of the number."""
    weight: str = ""
    """`higher` or `lower` where a test found a difference from vanilla, `unclear` where not; else empty."""
    anchor: str = ""
    """The place on the page that explains the text: PART-TABLE."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with one header row; the first column names the rows."""

    key: str
    """Names its files."""
    title: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def named(self, key: str) -> Table:
        """The same under another name."""
        return dataclasses.replace(self, key=key)


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    metric: Metric
    decimals: int
    scale: float = 1.0
    is_share: bool = False


_PERFORMANCE = (
    _Column("runtime, s", metrics.RUNTIME, 2),
    _Column("throughput, MiB/s", metrics.THROUGHPUT, 0, MIB),
    _Column("latency, µs", metrics.LATENCY, 2),
    _Column("latency p99, µs", metrics.LATENCY_P99, 1),
    _Column("saved, %", metrics.SAVED_PERCENT, 2, is_share=True),
)
_RESOURCES = (
    _Column("CPU, % of all", metrics.CPU, 1),
    _Column("memory growth, MiB", metrics.MEMORY_GROWTH, 0, MIB),
    _Column("power, W", metrics.POWER, 2),
    _Column("tracer CPU, % of one", metrics.TRACER_CPU, 1),
    _Column("tracer PSS, MiB", metrics.PSS_PEAK, 1, MIB),
    _Column("start, s", metrics.STARTUP, 2),
    _Column("drain, s", metrics.DRAIN, 2),
)

LEGEND = (
    "Mean ± SD over n trials that ended ok. Below it the ratio to vanilla of the same block, as a change in per cent,"
    " with its 95 % confidence interval, and p of the paired t test after Holm's correction over the setups; of memory"
    " growth the difference, in MiB. Bold: p ≤ 0.05. ~: within vanilla's SD, which the paper calls inconclusive."
)


def results(section: Section, group: Group) -> tuple[Table, ...]:
    """What one workload and tool came to: a row per setup, a column per quantity that was measured."""
    if group.emulated:
        return (_account(section, group),)
    tables = (
        _results(section, group, "performance", "performance and fidelity", _PERFORMANCE),
        _results(section, group, "resources", "resources", _RESOURCES),
    )
    return tuple(table for table in tables if table is not None)


def _account(section: Section, group: Group) -> Table:
    """What was intercepted on an emulated machine, and what became of it."""
    numbers = [[Cell(cell.mean if cell else DASH) for cell in cells(column, group.rows)] for column in ACCOUNT]
    rows = (
        (Cell(wording.row_name(row, group)), Cell(", ".join(wording.counts(row))), *line)
        for row, line in zip(group.rows, zip(*numbers, strict=True), strict=True)
    )
    return Table(
        key=f"account-{section.key}-{group.tool}",
        title=f"{section.workload.name}, {group.tool}: every call accounted for",
        caption=section.caption(f"Tool {group.tool}. {wording.ACCOUNT}"),
        header=("setup", "n", *(f"{column.title}, {column.unit}" for column in ACCOUNT)),
        rows=tuple(rows),
    )


def _results(section: Section, group: Group, key: str, title: str, wanted: Sequence[_Column]) -> Table | None:
    found = {column: [section.statistic(row, column.metric) for row in group.rows] for column in wanted}
    columns = [column for column in wanted if any(found[column])]
    if not columns:
        return None
    rows = tuple(
        (
            Cell(wording.row_name(row, group)),
            Cell(", ".join(wording.counts(row))),
            *(_number(column, found[column][number]) for column in columns),
        )
        for number, row in enumerate(group.rows)
    )
    return Table(
        key=f"{key}-{section.key}-{group.tool}",
        title=f"{section.workload.name}, {group.tool}: {title}",
        caption=section.caption(f"Tool {group.tool}."),
        header=("setup", "n", *(column.title for column in columns)),
        rows=rows,
    )


def _number(column: _Column, statistic: Statistic | None) -> Cell:
    if statistic is None:
        return Cell(DASH)
    spread = statistic.spread
    mean = share(spread.mean) if column.is_share else _signed(spread.mean / column.scale, column.decimals)
    sd = "" if spread.sd is None else f" ± {spread.sd / column.scale:.{column.decimals}f}"
    compared = statistic.paired or statistic.difference
    if compared is None:
        return Cell(mean + sd)
    within = f"{NO_BREAK}~" if statistic.rule is PaperRule.INCONCLUSIVE else ""
    against = change(compared) if isinstance(compared, Paired) else difference(compared, column.scale)
    return Cell(mean + sd, against + within, _weight(compared))


def change(paired: Paired) -> str:
    """A ratio to vanilla as a change, with what is known of its error; it breaks into lines between the three only."""
    parts = [f"{percent(paired.ratio)} %"]
    if paired.interval is not None:
        parts.append(f"[{percent(paired.interval.low)}, {percent(paired.interval.high)}]")
    if paired.p_corrected is not None:
        parts.append(f"p {p_value(paired.p_corrected)}")
    return _unbroken(parts)


def difference(found: Difference, scale: float) -> str:
    """A difference from vanilla, in units of so many of the metric's, likewise."""
    parts = [_signed(found.mean / scale, 0, "+")]
    if found.interval is not None:
        low, high = (_signed(end / scale, 0, "+") for end in (found.interval.low, found.interval.high))
        parts.append(f"[{low}, {high}]")
    if found.p_corrected is not None:
        parts.append(f"p {p_value(found.p_corrected)}")
    return _unbroken(parts)


def _signed(value: float, decimals: int, sign: str = "") -> str:
    return rounded(value, decimals, sign).replace("-", MINUS)


def _unbroken(parts: Sequence[str]) -> str:
    return " ".join(part.replace(" ", NO_BREAK) for part in parts)


def percent(ratio: float) -> str:
    """A ratio as a change in per cent, with its sign and no more figures than mean something."""
    value = 100 * (ratio - 1)
    if value >= 1000:
        return "> +1000"
    text = f"{value:+.0f}" if abs(value) >= 100 else f"{round(value, 1) + 0.0:+.1f}"
    return text.replace("-", MINUS)


def p_value(p: float) -> str:
    """A p value as it is usually printed."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def _weight(compared: Paired | Difference) -> str:
    return compared.finding.value if compared.finding in (Finding.HIGHER, Finding.LOWER) else "unclear"


def statistics_csv(analysis: Analysis) -> str:
    """Everything that is known of every cell and metric, unrounded, as CSV: a row per cell and metric."""
    rows = [_flat(found) for found in analysis.statistics]
    out = io.StringIO()
    writer = csv.DictWriter(out, _FLAT, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


_SPREAD = tuple(field.name for field in dataclasses.fields(Description))
_PAIRED = ("ratio", "p", "p_corrected", "p_sign_flip", "p_sign_flip_corrected", "effect", "repetitions_needed")
_ENDS = ("interval_low", "interval_high", "bootstrap_low", "bootstrap_high")
_DIFFERENCE = ("difference", "difference_low", "difference_high")
_FLAT = (*CELL, "metric", "unit", *_SPREAD, "pairs", *_PAIRED, *_ENDS, "finding", "paper_rule", *_DIFFERENCE)


def _flat(found: Statistic) -> dict[str, object]:
    flat: dict[str, object] = {**found.cell.columns, "metric": found.metric, "unit": found.unit}
    flat |= dataclasses.asdict(found.spread)
    if found.rule is not None:
        flat["paper_rule"] = found.rule.value
    if found.difference is not None:
        flat |= {"pairs": found.difference.n, "difference": found.difference.mean, "p": found.difference.p}
        flat |= {"p_corrected": found.difference.p_corrected, "finding": found.difference.finding.value}
        if ends := found.difference.interval:
            flat |= {"difference_low": ends.low, "difference_high": ends.high}
    if found.paired is None:
        return flat
    flat |= {name: getattr(found.paired, name) for name in _PAIRED}
    flat |= {"pairs": found.paired.n, "finding": found.paired.finding.value}
    for name, ends in (("interval", found.paired.interval), ("bootstrap", found.paired.bootstrap)):
        if ends is not None:
            flat |= {f"{name}_low": ends.low, f"{name}_high": ends.high}
    return flat


def to_csv(table: Table) -> str:
    """Write a table as it stands in the report; what has a second line has a column more for it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    detailed = {place for row in table.rows for place, cell in enumerate(row) if cell.detail}
    header = [
        [title, f"{title}: against vanilla"] if place in detailed else [title]
        for place, title in enumerate(table.header)
    ]
    writer.writerow(itertools.chain.from_iterable(header))
    for row in table.rows:
        fields = [[cell.text, cell.detail] if place in detailed else [cell.text] for place, cell in enumerate(row)]
        writer.writerow(itertools.chain.from_iterable(fields))
    return out.getvalue()


def to_markdown(table: Table) -> str:
    """Write a table as GitHub Markdown, with its title and caption."""
    rows = ([markdown.escaped(" ".join(filter(None, (cell.text, cell.detail)))) for cell in row] for row in table.rows)
    parts = [f"### {markdown.escaped(table.title)}", markdown.escaped(table.caption)]
    return "\n\n".join([*parts, markdown.table(table.header, rows, texts=1)]) + "\n"
