# SPDX-License-Identifier: Apache-2.0
"""The quantities: how each metric is shown to people, one row a metric, and the only place that says so.

A metric that has no row here is in the data for programs only. Whoever shows some of them picks rows; titles, units and
decimals are the same in every table, figure and sentence.
"""

from __future__ import annotations

from dataclasses import dataclass

from bpfbench.analysis import metrics
from bpfbench.analysis.metrics import Metric

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Quantity:
    """How one metric is shown."""

    metric: Metric
    title: str
    unit: str
    """What is shown, which is `scale` of the metric's own."""
    decimals: int
    """Of a mean; a table in which all whole numbers are small has one more."""
    scale: float = 1.0
    higher_is_better: bool = False
    is_share: bool = False
    """A share of a whole, in per cent: it must not read 0 or 100 unless it is."""

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}"


QUANTITIES = (
    Quantity(metrics.RUNTIME, "runtime", "s", 2),
    Quantity(metrics.THROUGHPUT, "throughput", "MiB/s", 0, MIB, higher_is_better=True),
    Quantity(metrics.LATENCY, "latency", "µs", 2),
    Quantity(metrics.LATENCY_P99, "latency p99", "µs", 1),
    Quantity(metrics.SAVED_PERCENT, "saved", "%", 2, higher_is_better=True, is_share=True),
    Quantity(metrics.LOST_PERCENT, "lost", "%", 2, is_share=True),
    Quantity(metrics.CPU, "CPU", "% of all", 1),
    Quantity(metrics.MEMORY, "memory", "MiB", 0, MIB),
    Quantity(metrics.MEMORY_GROWTH, "memory growth", "MiB", 0, MIB),
    Quantity(metrics.ENERGY, "energy", "J", 1),
    Quantity(metrics.POWER, "power", "W", 2),
    Quantity(metrics.TRACER_CPU, "tracer CPU", "% of one", 1),
    Quantity(metrics.PSS_PEAK, "PSS", "MiB", 1, MIB),
    Quantity(metrics.STARTUP, "start", "s", 2),
    Quantity(metrics.DRAIN, "drain", "s", 2),
    Quantity(metrics.OFFERED, "offered", "k events/s", 1, 1000),
    Quantity(metrics.OUTPUT, "output", "MiB", 1, MIB),
    Quantity(metrics.FIO_IOS, "fio", "I/Os", 0),
    Quantity(metrics.INTERCEPTED, "intercepted", "events", 0),
    Quantity(metrics.SAVED, "saved", "events", 0, higher_is_better=True),
    Quantity(metrics.LOST, "lost", "events", 0),
)
"""All of them, in the order of the tables."""

BY_METRIC = {quantity.metric: quantity for quantity in QUANTITIES}
"""The same by metric."""
