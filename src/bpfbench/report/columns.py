# SPDX-License-Identifier: Apache-2.0
"""The columns of the tables for people (terminal, Markdown): one line here is one column there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bpfbench.analysis import metrics
from bpfbench.analysis.metrics import Metric
from bpfbench.analysis.results import Description, PaperRule
from bpfbench.analysis.summary import Comparison, Group, Row

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Column:
    """How a metric is shown."""

    title: str
    unit: str
    metric: Metric
    decimals: int
    scale: float = 1.0
    """The unit shown, in units of the metric."""
    with_sd: bool = True
    is_share: bool = False
    """A share of a whole, in per cent: it must not read 0 or 100 unless it is."""
    is_total: bool = False
    """The sum over the trials is shown, and not their mean."""
    importance: int = 0
    """A narrow terminal drops the columns of the least importance first, and never those of the greatest."""


NEVER_DROPPED = 9
DOCUMENTS_ONLY = 0

COLUMNS = (
    Column("runtime", "s", metrics.RUNTIME, 2, importance=NEVER_DROPPED),
    Column("throughput", "MiB/s", metrics.THROUGHPUT, 0, scale=MIB, importance=7),
    Column("latency", "us", metrics.LATENCY, 2, importance=8),
    Column("saved", "%", metrics.SAVED_PERCENT, 2, is_share=True, importance=NEVER_DROPPED),
    Column("lost", "%", metrics.LOST_PERCENT, 2, with_sd=False, is_share=True, importance=4),
    Column("CPU", "% of all", metrics.CPU, 1, importance=6),
    Column("memory growth", "MiB", metrics.MEMORY_GROWTH, 0, scale=MIB, importance=5),
    Column("tracer CPU", "% of one", metrics.TRACER_CPU, 1, importance=3),
    Column("PSS", "MiB", metrics.PSS_PEAK, 0, scale=MIB, with_sd=False, importance=2),
    Column("start", "s", metrics.STARTUP, 2, with_sd=False, importance=1),
    Column("drain", "s", metrics.DRAIN, 2, importance=DOCUMENTS_ONLY),
    Column("offered", "k events/s", metrics.OFFERED, 1, scale=1000, importance=DOCUMENTS_ONLY),
    Column("output", "MiB", metrics.OUTPUT, 1, scale=MIB, importance=DOCUMENTS_ONLY),
)

ACCOUNT = tuple(
    Column(title, unit, metric, 0, with_sd=False, is_total=True, importance=NEVER_DROPPED)
    for title, unit, metric in (
        ("fio", "I/Os", metrics.FIO_IOS),
        ("intercepted", "events", metrics.INTERCEPTED),
        ("saved", "events", metrics.SAVED),
        ("lost", "events", metrics.LOST),
    )
)
"""The columns of an emulated machine: what was intercepted, and what became of it."""


def columns_of(group: Group) -> tuple[Column, ...]:
    """Return the columns that a group has numbers for."""
    return ACCOUNT if group.emulated else COLUMNS


@dataclass(frozen=True, slots=True)
class Cell:
    """The texts of one number."""

    mean: str
    sd: str | None
    difference: str | None
    """Against vanilla, in per cent; None for vanilla itself, for what cannot be compared, and without a pair."""
    verdict: PaperRule | None


def cells(column: Column, rows: Iterable[Row]) -> list[Cell | None]:
    """Write one column of a table; None where a row lacks the number."""
    rows = list(rows)
    found = [row.estimates.get(column.metric) for row in rows]
    decimals = _decimals(column, found)
    return [
        None if estimate is None else _cell(column, estimate, row.comparisons.get(column.metric), decimals)
        for row, estimate in zip(rows, found, strict=True)
    ]


def _cell(column: Column, estimate: Description, comparison: Comparison | None, decimals: int) -> Cell:
    if column.is_total:
        return Cell(f"{estimate.mean * estimate.n:.0f}", None, None, None)
    sd = estimate.sd if column.with_sd else None
    mean = share(estimate.mean) if column.is_share else rounded(estimate.mean / column.scale, decimals)
    return Cell(
        mean=mean,
        sd=None if sd is None else f"{sd / column.scale:.{decimals}f}",
        difference=None if comparison is None else _change(column, comparison),
        verdict=None if comparison is None else comparison.verdict,
    )


def _decimals(column: Column, estimates: Iterable[Description | None]) -> int:
    """Whole numbers get one decimal where all of a table are small, so that no SD reads as zero for want of a digit."""
    largest = max((estimate.mean / column.scale for estimate in estimates if estimate is not None), default=0.0)
    return 1 if column.decimals == 0 and largest < 100 else column.decimals


def _change(column: Column, comparison: Comparison) -> str | None:
    if comparison.difference is not None:
        return rounded(comparison.difference.mean / column.scale, column.decimals, "+")
    return difference(comparison.difference_percent)


def difference(estimate: Description | None) -> str | None:
    """Write a difference in per cent, with its sign."""
    return None if estimate is None else f"{rounded(estimate.mean, 1, '+')} %"


def rounded(value: float, decimals: int, sign: str = "") -> str:
    """Write a number with so many decimals; `sign` "+": with its sign also where it is positive."""
    # Adding 0.0 turns a negative zero into zero.
    return f"{round(value, decimals) + 0.0:{sign}.{decimals}f}"


def share(percent: float) -> str:
    """Write a share of a whole so that a single event lost, or saved, of millions still shows."""
    text = f"{percent:.2f}"
    if text == "0.00" and percent > 0:
        return "<0.01"
    if text == "100.00" and percent < 100:
        return ">99.99"
    return text
