# SPDX-License-Identifier: Apache-2.0
"""The quantities: how each metric is shown to people, one row a metric, and the only place that says so.

A metric that has no row here is in the data for programs only. Titles, units and decimals are the same in every table,
figure and sentence; a row also says which tables and figures the metric is a part of.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bpfbench.analysis import commanded, metrics
from bpfbench.analysis.metrics import Metric
from bpfbench.report.document import ALWAYS, NEVER, Column
from bpfbench.report.numbers import rounded, share

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Quantity:
    """How one metric is shown."""

    metric: Metric
    title: str
    unit: str
    """What is shown, which is `scale` of the metric's own."""
    decimals: int
    """Of a mean; where all means of a table are below 100, a whole number has one more."""
    scale: float = 1.0
    is_share: bool = False
    """A share of a whole, in per cent: it must not read 0 or 100 unless it is."""
    importance: int | None = None
    """Of its column in the summary; None: it has none."""
    with_sd: bool = True
    """Whether the summary has its SD."""
    page: str = ""
    """The table of the report that has it: performance, resources."""
    figure: str = ""
    """The figure that has it: performance, resources."""

    @property
    def column(self) -> Column:
        """Its column in a table."""
        return Column(self.title, self.unit, importance=ALWAYS if self.importance is None else self.importance)

    def digits(self, means: Iterable[float]) -> int:
        """Return the decimals for a table of these means, so that no SD reads as zero for want of a digit."""
        largest = max((mean / self.scale for mean in means), default=0.0)
        return 1 if self.decimals == 0 and largest < 100 else self.decimals

    def number(self, mean: float, digits: int | None = None) -> str:
        """Write a mean, given in the metric's own unit."""
        return share(mean) if self.is_share else rounded(mean / self.scale, self.decimals if digits is None else digits)

    def spread(self, sd: float | None, digits: int) -> str:
        """Write an SD; empty where there is none."""
        return "" if sd is None else f"{sd / self.scale:.{digits}f}"

    def difference(self, value: float) -> str:
        """Write a difference in its unit, with its sign."""
        return rounded(value / self.scale, self.decimals, "+")


QUANTITIES = (
    Quantity(metrics.RUNTIME, "runtime", "s", 2, importance=ALWAYS, page="performance", figure="performance"),
    Quantity(metrics.THROUGHPUT, "throughput", "MiB/s", 0, MIB, importance=6, page="performance", figure="performance"),
    Quantity(metrics.LATENCY, "latency", "µs", 2, importance=8, page="performance", figure="performance"),
    Quantity(metrics.LATENCY_P99, "latency p99", "µs", 1, page="performance"),
    Quantity(metrics.LATENCY_P999, "latency p99.9", "µs", 1, page="performance"),
    Quantity(metrics.SAVED_PERCENT, "saved", "%", 2, is_share=True, importance=ALWAYS, page="performance"),
    Quantity(metrics.LOST_PERCENT, "lost", "%", 2, is_share=True, importance=4, with_sd=False),
    Quantity(metrics.CPU, "CPU", "% of all", 1, importance=7, page="resources", figure="resources"),
    Quantity(metrics.MEMORY, "memory", "MiB", 0, MIB),
    Quantity(metrics.MEMORY_GROWTH, "memory growth", "MiB", 0, MIB, importance=5, page="resources", figure="resources"),
    Quantity(metrics.POWER, "power", "W", 2, page="resources", figure="resources"),
    Quantity(metrics.ENERGY, "energy", "J", 1),
    Quantity(metrics.TRACER_CPU, "tracer CPU", "% of one", 1, importance=3, page="resources"),
    Quantity(metrics.PSS_PEAK, "PSS", "MiB", 1, MIB, importance=2, with_sd=False, page="resources"),
    Quantity(metrics.CODE, "size", "MiB", 1, MIB, importance=NEVER, page="resources"),
    Quantity(metrics.STARTUP, "start", "s", 2, importance=1, with_sd=False, page="resources"),
    Quantity(metrics.DRAIN, "drain", "s", 2, importance=NEVER, page="resources"),
    Quantity(metrics.OFFERED, "offered", "k events/s", 1, 1000, importance=NEVER),
    Quantity(metrics.OUTPUT, "output", "MiB", 1, MIB, importance=NEVER),
    Quantity(metrics.SAVED_RATE, "saved", "k events/s", 1, 1000),
    Quantity(metrics.TRACER_TIME, "CPU", "ns an event", 0),
)
"""All of them, in the order of the tables."""

OF_TARGETS = (
    Quantity(metrics.OPERATIONS_RATE, "operations", "1/s", 0, importance=6, page="performance", figure="performance"),
    Quantity(metrics.RATE_KEPT, "of the rate", "%", 1, importance=5),
    Quantity(metrics.TARGET_CPU, "target CPU", "% of one", 1, importance=6, page="resources", figure="resources"),
    Quantity(metrics.TARGET_USER, "target, user", "s", 2, page="resources"),
    Quantity(metrics.TARGET_SYSTEM, "target, system", "s", 2, page="resources"),
    Quantity(metrics.DRIVER_CPU, "driver CPU", "% of one", 1, page="resources"),
)
"""What targets besides fio have, in the place of throughput and beside it."""

COMMANDS = (
    Quantity(commanded.RECEIVED, "received, by its own word", "events", 0, importance=4, page="performance"),
    Quantity(commanded.TOLD_PERCENT, "of all", "%", 2, is_share=True, importance=NEVER, page="performance"),
    Quantity(commanded.LOADED, "BPF", "programs", 0, importance=NEVER, with_sd=False, page="resources"),
    Quantity(commanded.MAPS, "maps", "MiB", 2, MIB, importance=NEVER, with_sd=False, page="resources"),
    Quantity(commanded.BPF_SHARE, "BPF", "% of one", 2, importance=NEVER, page="resources"),
)
"""Of tracers that are commands, where there are any."""

DELIVERED = (
    Quantity(metrics.DELAY_P50, "delay", "ms", 2, importance=6),
    Quantity(metrics.DELAY_P99, "delay p99", "ms", 2, importance=8),
    Quantity(metrics.DELAY_P999, "delay p99.9", "ms", 2),
    Quantity(metrics.DELAY_MAX, "longest delay", "ms", 2),
)
"""Of trials of the variant delay, where there are any."""

ACCOUNT = tuple(
    Quantity(metric, title, unit, 0)
    for metric, title, unit in (
        (metrics.FIO_IOS, "fio", "I/Os"),
        (metrics.INTERCEPTED, "intercepted", "events"),
        (metrics.SAVED, "saved", "events"),
        (metrics.LOST, "lost", "events"),
    )
)
"""Of an emulated machine: what was intercepted, and what became of it, as totals over the trials."""

RECEIVED = Quantity(commanded.RECEIVED, "received, by its own word", "events", 0)


def accounted(found: Iterable[Metric], *, fio: bool) -> tuple[Quantity, ...]:
    """Return what is shown of an emulated machine; what commands received is by their own word."""
    known = ACCOUNT if fio else ACCOUNT[1:]
    return (*known, RECEIVED) if commanded.RECEIVED in found else known


SUMMARY = tuple(quantity for quantity in QUANTITIES if quantity.importance is not None)
FIGURES = tuple(quantity for quantity in QUANTITIES if quantity.figure)
BY_METRIC = {quantity.metric: quantity for quantity in (*QUANTITIES, *OF_TARGETS, *DELIVERED, *COMMANDS, *ACCOUNT)}


def among(found: Iterable[Metric], *, fio: bool) -> tuple[Quantity, ...]:
    """Return those of a target: fio's are always the same; another's, runtime and what else was measured of it."""
    there = set(found)
    besides = tuple(quantity for quantity in (*DELIVERED, *COMMANDS) if quantity.metric in there)
    if fio:
        return (*QUANTITIES, *besides)
    own = [
        Quantity(metric, metric.own.name, metric.unit, 1, importance=9, page="performance", figure="performance")
        for metric in found
        if metric.own
    ]
    runtime, _, *others = QUANTITIES
    return (runtime, *(quantity for quantity in (*OF_TARGETS, *own, *others) if quantity.metric in there), *besides)
